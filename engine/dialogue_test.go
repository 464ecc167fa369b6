package engine_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The files testdata/*.txt are dialogues of clients and servers with the proxy between them:
//
//	== name                  begins a dialogue; lines behind it up to the first step are keys of site
//	http: max_headers: 3     keys of the entry point's http section; also entry, service, rule, retry
//	whole                    not to be repeated byte by byte: where chunks are cut shows, or an end comes between
//	-- client sends          a step; the lines below it are what is sent, each with CR LF added
//	-- server 2 receives     exactly these bytes come next; "server 2" is its second connection
//	-- client closes         also: ends (its writing side), resets, hears the end, hears a reset, hears a loss
//	# comment
//
// A line of content that ends with a backslash has no CR LF; \r, \n and \t stand for these bytes. In content, {port} is
// the proxy's port, {date} any date, {id} any request id of the proxy's making, {forwarding} the fields that tell a
// server of a client that asked for the host "a", and {reply STATUS WHY} a local reply in plain text, {close STATUS WHY}
// one that announces the end of the connection. The line above "==" is not part of what stands there. What a peer is sent and no step receives fails the dialogue.
type dialogue struct {
	name  string
	site  site
	whole bool
	steps []step
}

// step is one line "-- who what" and the content below it.
type step struct {
	who, what string
	content   string
	line      int
}

var stepLine = regexp.MustCompile(`^-- ((?:client|server)(?: \d+)?) (\w[\w ]*)$`)

// readDialogues reads one file of dialogues.
func readDialogues(t *testing.T, path string) (all []*dialogue) {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var d *dialogue
	var s *step
	for i, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		if name, ok := strings.CutPrefix(line, "== "); ok {
			if s != nil {
				s.content = strings.TrimSuffix(s.content, "\r\n")
			}
			d = &dialogue{name: strings.ReplaceAll(name, " ", "_")}
			all, s = append(all, d), nil
			continue
		}
		m := stepLine.FindStringSubmatch(line)
		switch {
		case strings.HasPrefix(line, "# "):
		case d == nil && line == "":
		case d == nil:
			t.Fatalf("%s:%d: no dialogue begins before this line", path, i+1)
		case m != nil:
			d.steps = append(d.steps, step{who: m[1], what: m[2], line: i + 1})
			s = &d.steps[len(d.steps)-1]
		case strings.HasPrefix(line, "--"):
			t.Fatalf("%s:%d: not a step", path, i+1)
		case s == nil:
			d.set(t, path, i+1, line)
		default:
			s.content += unescape(line)
		}
	}
	return all
}

// set takes a line before the first step.
func (d *dialogue) set(t *testing.T, path string, at int, line string) {
	key, value, _ := strings.Cut(line, ": ")
	switch key {
	case "http":
		d.site.http = value
	case "entry":
		d.site.entry = value
	case "service":
		d.site.service = value
	case "rule":
		d.site.rule = value
	case "retry":
		d.site.retry = value
	case "whole":
		d.whole = true
	case "":
	default:
		t.Fatalf("%s:%d: no key of a dialogue", path, at)
	}
}

func unescape(line string) string {
	line, open := strings.CutSuffix(line, `\`)
	line = strings.NewReplacer(`\r`, "\r", `\n`, "\n", `\t`, "\t").Replace(line)
	if !open {
		line += "\r\n"
	}
	return line
}

// TestDialogues plays every dialogue, again with a proxy that makes every socket call by itself, and again with
// everything sent byte by byte.
func TestDialogues(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatal("no dialogues: ", err)
	}
	for _, path := range paths {
		for _, d := range readDialogues(t, path) {
			name := strings.TrimSuffix(filepath.Base(path), ".txt") + "/" + d.name
			t.Run(name, func(t *testing.T) { d.play(t, path, (*peer).say) })
			t.Run(name+"/plain", func(t *testing.T) {
				d.site.plain = true
				d.play(t, path, (*peer).say)
			})
			if !d.whole {
				t.Run(name+"/by_bytes", func(t *testing.T) {
					d.site.plain = false
					d.play(t, path, (*peer).sayByBytes)
				})
			}
		}
	}
}

// stage is where a dialogue is played.
type stage struct {
	t      *testing.T
	server *backend
	proxy  *proxy
	peers  map[string]*peer
}

func (d *dialogue) play(t *testing.T, path string, say func(*peer, string)) {
	s := &stage{t: t, server: listen(t), peers: map[string]*peer{}}
	here := d.site
	here.servers = []string{s.server.address}
	s.proxy = here.start(t)
	at := 0
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("at %s:%d", path, at)
		}
	})
	for i := range d.steps {
		step := &d.steps[i]
		at = step.line
		p := s.peer(step.who)
		switch step.what {
		case "sends":
			say(p, s.fill(step.content))
		case "receives":
			s.receive(p, step.content)
		case "ends":
			p.end()
		case "closes":
			p.close()
			delete(s.peers, step.who)
		case "resets":
			p.reset()
			delete(s.peers, step.who)
		case "hears the end":
			p.hearEnd()
			p.close()
			delete(s.peers, step.who)
		case "hears a reset":
			p.hearReset()
			delete(s.peers, step.who)
		case "hears a loss":
			p.hearLoss()
			p.close()
			delete(s.peers, step.who)
		default:
			t.Fatalf("nobody %s", step.what)
		}
	}
	s.proxy.shutdown(t, 50*time.Millisecond) // a dialogue may leave off in the middle of an exchange
	for _, p := range s.peers {
		p.hearLoss()
	}
	s.server.expectNoMore(t)
}

// peer is the connection of this name, opened or accepted when it is first spoken of.
func (s *stage) peer(name string) *peer {
	p := s.peers[name]
	if p == nil {
		if strings.HasPrefix(name, "client") {
			p = s.proxy.dial(s.t)
		} else {
			p = s.server.accept(s.t)
		}
		p.name = name
		s.peers[name] = p
	}
	return p
}

// varying are the placeholders of texts that no test can know, and what such a text looks like, which has one length.
var varying = map[string]struct {
	size int
	like *regexp.Regexp
}{
	"{date}": {len(http.TimeFormat), regexp.MustCompile(`^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$`)},
	"{id}":   {32, regexp.MustCompile(`^[0-9a-f]{32}$`)},
}

// receive reads what content asks for, piece by piece around the varying texts.
func (s *stage) receive(p *peer, content string) {
	s.t.Helper()
	want := s.fill(content)
	parts := regexp.MustCompile(`\{(date|id)\}`).FindAllStringIndex(want, -1)
	size := len(want)
	for _, at := range parts {
		size += varying[want[at[0]:at[1]]].size - (at[1] - at[0])
	}
	got, err := p.read(size)
	masked := got
	for _, at := range parts {
		v := varying[want[at[0]:at[1]]]
		if end := at[0] + v.size; end <= len(masked) && v.like.MatchString(masked[at[0]:end]) {
			masked = masked[:at[0]] + want[at[0]:at[1]] + masked[end:]
		}
	}
	if masked != want {
		s.t.Fatalf("%s got (%v)\n%s\nwant\n%s", p.name, err, quoteLines(masked), quoteLines(want))
	}
}

var macro = regexp.MustCompile(`\{(reply|close) (\d{3}) ([^}]*)\}\r\n`)

// fill puts in what is known only now.
func (s *stage) fill(content string) string {
	content = macro.ReplaceAllStringFunc(content, func(m string) string {
		part := macro.FindStringSubmatch(m)
		return localReply(part[2], part[3], part[1] == "close")
	})
	_, port, _ := strings.Cut(s.proxy.address, ":")
	return strings.NewReplacer("{forwarding}\r\n", "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n"+
		"X-Forwarded-Host: a\r\nX-Forwarded-Port: "+port+"\r\nX-Request-Id: {id}\r\n",
		"{port}", port, "{server}", s.server.address).Replace(content)
}

// localReply is the text of an answer that the proxy makes itself.
func localReply(status, why string, closes bool) string {
	code, _ := strconv.Atoi(status)
	reason := http.StatusText(code)
	if code == 413 {
		reason = "Content Too Large" // RFC 9110 section 15.5.14
	}
	body := fmt.Sprintf("%s %s: %s\n", status, reason, why)
	b := fmt.Sprintf("HTTP/1.1 %s %s\r\nDate: {date}\r\nContent-Type: text/plain; charset=utf-8\r\n"+
		"Cache-Control: no-store\r\n", status, reason)
	if code == 503 {
		b += "Retry-After: 1\r\n"
	}
	if closes {
		b += "Connection: close\r\n"
	}
	return b + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
}

// lengthOf is the value of a head's Content-Length.
func lengthOf(t testing.TB, head string) int {
	t.Helper()
	m := regexp.MustCompile(`\r\nContent-Length: (\d+)\r\n`).FindStringSubmatch(head)
	if m == nil {
		t.Fatalf("no length in\n%s", quoteLines(head))
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}
