// node --experimental-websocket client.mjs http1|http2 URL DIGEST: does through the proxy what testdata/page.html does in a
// browser, with fetch and WebSocket or with the module http2. It prints "done" or throws.
import {createHash} from "node:crypto";
import http2 from "node:http2";
import {readFileSync} from "node:fs";

const [, , version, base, digest] = process.argv;
const resources = 100, events = 3;

function hold(what, ok) { if (!ok) throw new Error(what); }

const sha256 = bytes => createHash("sha256").update(bytes).digest("hex");

// oneByOne tells the application of each event when it is there.
async function oneByOne(chunks, seen) {
  let text = "", n = 0;
  for await (const chunk of chunks) {
    text += Buffer.from(chunk).toString();
    while (text.includes("\n\n")) {
      hold("event " + text, text.startsWith("data: " + ++n + "\n\n"));
      text = text.slice(text.indexOf("\n\n") + 2);
      await seen(n);
    }
  }
  hold("number of events " + n, n === events);
}

async function overFetch() {
  await Promise.all(Array.from({length: resources}, async (_, i) => {
    const text = await (await fetch(`${base}/resource/${i + 1}`)).text();
    hold("resource " + (i + 1), text === `resource ${i + 1} of the page\n`);
  }));
  const down = Buffer.from(await (await fetch(base + "/down")).arrayBuffer());
  hold("download", sha256(down) === digest);
  const up = await fetch(base + "/up", {method: "POST", body: down});
  hold("upload", await up.text() === digest);
  const stream = await fetch(base + "/events?id=node");
  await oneByOne(stream.body, n => fetch(`${base}/seen?id=node&n=${n}`));
  await socket();
}

function socket() {
  return new Promise((done, failed) => {
    const s = new WebSocket(base.replace("http", "ws") + "/socket");
    const messages = ["hello", "x".repeat(1 << 20), "bye"];
    let n = 0;
    s.onerror = e => failed(new Error("the WebSocket broke after " + n + ": " + e.message));
    s.onopen = () => s.send(messages[0]);
    s.onmessage = e => {
      if (e.data !== messages[n]) failed(new Error("message " + n + " came back otherwise"));
      if (++n < messages.length) s.send(messages[n]);
      else s.close(1000);
    };
    s.onclose = e => e.code === 1000 ? done() : failed(new Error("closed with " + e.code));
  });
}

async function overHTTP2() {
  const ca = readFileSync(process.env.NODE_EXTRA_CA_CERTS);
  const session = http2.connect(base, {ca, settings: {initialWindowSize: 1 << 20}});
  session.on("error", e => { throw e; });
  const request = (fields, body) => {
    const s = session.request(fields, {endStream: body === undefined});
    s.on("response", h => hold("status " + h[":status"], h[":status"] === 200));
    if (body !== undefined) s.end(body);
    return s;
  };
  const whole = async s => {
    const chunks = [];
    for await (const chunk of s) chunks.push(chunk);
    return Buffer.concat(chunks);
  };
  await Promise.all(Array.from({length: resources}, async (_, i) => {
    const got = await whole(request({":path": `/resource/${i + 1}`}));
    hold("resource " + (i + 1), got.toString() === `resource ${i + 1} of the page\n`);
  }));
  const down = await whole(request({":path": "/down"}));
  hold("download", sha256(down) === digest);
  const up = await whole(request({":path": "/up", ":method": "POST"}, down));
  hold("upload", up.toString() === digest);
  await oneByOne(request({":path": "/events?id=node"}), n => whole(request({":path": `/seen?id=node&n=${n}`})));
  await extendedConnect(session);
  session.close();
}

// extendedConnect opens a WebSocket (RFC 8441) and sends one message by hand: masked with nothing, so that it is readable.
async function extendedConnect(session) {
  if (!session.remoteSettings.enableConnectProtocol) {
    throw new Error("the proxy does not announce extended CONNECT");
  }
  const s = session.request({":method": "CONNECT", ":protocol": "websocket", ":path": "/socket",
    ":scheme": base.split(":")[0], ":authority": base.split("//")[1], "sec-websocket-version": "13"}, {endStream: false});
  const status = await new Promise((done, failed) => { s.on("response", h => done(h[":status"])); s.on("error", failed); });
  hold("status of the WebSocket " + status, status === 200);
  const chunks = s[Symbol.asyncIterator]();
  s.write(Buffer.concat([Buffer.from([0x81, 0x85, 0, 0, 0, 0]), Buffer.from("hello")]));
  let got = Buffer.alloc(0);
  while (got.length < 7) {
    const {value, done} = await chunks.next();
    hold("the WebSocket ended", !done);
    got = Buffer.concat([got, value]);
  }
  hold("message " + got.toString("hex"), got.equals(Buffer.concat([Buffer.from([0x81, 5]), Buffer.from("hello")])));
  s.close(http2.constants.NGHTTP2_CANCEL);
}

await (version === "http2" ? overHTTP2() : overFetch());
console.log("done");
