package mw

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"traffic_management/codec"
)

func errorPages(t testing.TB, path string) *ErrorPages {
	t.Helper()
	o := ErrorPagesOptions{Service: besideService(), Path: path}
	o.Statuses.Add(404, 404)
	o.Statuses.Add(500, 599)
	return made[*ErrorPages](t)(NewErrorPages(o))
}

// pageOf answers with a page that says what was asked for.
func pageOf(r *http.Request) string {
	body := "page " + r.URL.RequestURI()
	head := "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nCache-Control: max-age=60\r\nETag: \"p\"\r\nContent-Length: " +
		strconv.Itoa(len(body)) + "\r\n\r\n"
	if r.Method == "HEAD" {
		return head
	}
	return head + body
}

// Which responses get a page, and what of theirs stays.
func TestErrorPages(t *testing.T) {
	filter := errorPages(t, "/errors/{status}.html?status={status}")
	eachVersion(t, func(t *testing.T, v codec.Version) {
		for _, c := range []struct {
			what, method, answer string
			status               int
			body, contentType    string
			kept                 string // of the original's fields, by name
		}{
			{"all is well", "GET", "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 4\r\n\r\nfine", 200, "fine", "a/b", ""},
			{"a status of no page", "GET", "HTTP/1.1 403 No\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nno", 403, "no", "a/b", ""},
			{"content", "GET", "HTTP/1.1 404 No\r\nContent-Type: a/b\r\nContent-Encoding: gzip\r\nETag: \"x\"\r\nX-Kept: 1\r\n" +
				"Content-Length: 2\r\n\r\nno", 404, "page /errors/404.html?status=404", "text/html", "1"},
			{"no content", "POST", "HTTP/1.1 503 No\r\nContent-Length: 0\r\nX-Kept: 2\r\n\r\n", 503,
				"page /errors/503.html?status=503", "text/html", "2"},
			{"chunks and trailers", "GET", "HTTP/1.1 500 No\r\nTrailer: X-T\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\nX-T: 1\r\n\r\n",
				500, "page /errors/500.html?status=500", "text/html", ""},
			{"HEAD", "HEAD", "HTTP/1.1 500 No\r\nContent-Length: 7\r\nX-Kept: 3\r\n\r\n", 500, "", "text/html", "3"},
			{"a status that has no name", "GET", "HTTP/1.1 599 No\r\nContent-Length: 0\r\n\r\n", 599,
				"page /errors/599.html?status=599", "text/html", ""},
		} {
			b := newBed(t, filter)
			b.answer = says(c.answer)
			pages := b.beside(pageOf)
			got := b.ask(v, c.method, "/private?token=1", "Cookie: a=1", "Authorization: b", "Accept-Language: nl")
			if got.status != c.status || got.body != c.body || !got.complete || got.field("Content-Type") != c.contentType ||
				got.field("X-Kept") != c.kept || c.contentType == "text/html" && got.field("ETag")+got.field("Content-Encoding")+got.field("Trailer") != "" {
				t.Errorf("%s: %d %q %s", c.what, got.status, got.body, got.fields)
			}
			for _, r := range pages.requests {
				if strings.Contains(r, "Cookie") || strings.Contains(r, "Authorization") || strings.Contains(r, "token") ||
					!strings.Contains(strings.ToLower(r), "\r\naccept-language: nl\r\n") {
					t.Errorf("%s: the service was asked %q", c.what, r)
				}
			}
			if asked := c.contentType == "text/html"; asked != (len(pages.requests) == 1) {
				t.Errorf("%s: the service was asked %q", c.what, pages.requests)
			}
		}
	})
}

// Responses of the proxy's own get pages, too.
func TestErrorPagesForOwnResponses(t *testing.T) {
	b := newBed(t, errorPages(t, "/{status}"))
	b.beside(pageOf)
	b.loop.Unlisten(bedServerAddr)
	got := b.ask(codec.HTTP11, "GET", "/")
	if got.status != 502 && got.status != 503 || got.body != "page /"+strconv.Itoa(got.status) || got.err == nil {
		t.Errorf("%d %q, observed %v", got.status, got.body, got.err)
	}
}

// A service that does not come up with a page leaves the status, and a line of text.
func TestErrorPagesFail(t *testing.T) {
	eachVersion(t, func(t *testing.T, v codec.Version) {
		for _, c := range []struct{ what, answer, body string }{
			{"nobody listens", "-", "404 Not Found\n"},
			{"no answer", "", "404 Not Found\n"},
			{"garbage", "garbage\r\n\r\n", "404 Not Found\n"},
			{"an error of its own", "HTTP/1.1 503 No\r\nContent-Length: 4\r\n\r\nbusy", "404 Not Found\n"},
			{"a redirection", "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", "404 Not Found\n"},
			{"the status it is for", "HTTP/1.1 404 No\r\nContent-Length: 4\r\n\r\npage", "page"},
			{"no content", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""},
		} {
			b := newBed(t, errorPages(t, "/{status}"))
			b.answer = says("HTTP/1.1 404 No\r\nContent-Length: 2\r\nX-Kept: 1\r\n\r\nno")
			if c.answer != "-" {
				b.beside(says(c.answer))
			}
			got := b.begin(v, "GET", "/", 0)
			b.advance(10 * time.Second)
			if got.status != 404 || got.body != c.body || !got.complete || !got.over || got.field("X-Kept") != "1" {
				t.Errorf("%s: %d %q, over %v", c.what, got.status, got.body, got.over)
			}
		}
	})
}

// What the page replaces need not come to its end, and the client that leaves takes the question with it.
func TestErrorPagesEnds(t *testing.T) {
	b := newBed(t, errorPages(t, "/{status}"))
	b.answer = says("HTTP/1.1 500 No\r\nContent-Length: 10000000\r\n\r\n" + strings.Repeat("a", 1<<20))
	pages := b.beside(pageOf)
	if got := b.ask(codec.HTTP11, "GET", "/"); got.body != "page /500" || b.servers[0].fate == "" {
		t.Errorf("%q; the connection to the server: %q", got.body, b.servers[0].fate)
	}
	pages.answer = says("")
	gone := b.begin(codec.HTTP11, "GET", "/", 0)
	n := len(pages.servers)
	if gone.leave(); !gone.over || pages.servers[n-1].fate == "" {
		t.Errorf("over %v; the connection to the pages: %q", gone.over, pages.servers[n-1].fate)
	}
	pages.answer = says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\npa")
	cut := b.begin(codec.HTTP11, "GET", "/", 0)
	pages.servers[len(pages.servers)-1].closes()
	if cut.reset == nil || cut.complete || cut.status != 500 {
		t.Errorf("a page that is cut short: %d %q, complete %v", cut.status, cut.body, cut.complete)
	}
}

// Filters nearer to the client see the page, those nearer to the server what it replaces.
func TestErrorPagesAmongOthers(t *testing.T) {
	small := made[*Buffering](t)(NewBuffering(BufferingOptions{MaxResponseBody: 4}))
	large := made[*Buffering](t)(NewBuffering(BufferingOptions{MaxResponseBody: 100}))
	pages := errorPages(t, "/{status}")
	for _, c := range []struct {
		what    string
		outer   *Buffering
		inner   *Buffering
		status  int
		content string
	}{
		{"it fits", large, large, 500, "page /500"},
		{"the page is too large", small, large, 502, "content of the response"},
		{"what it replaces is", large, small, 502, "page /502"},
	} {
		b := newBed(t, c.outer, pages, c.inner)
		b.answer = says("HTTP/1.1 500 No\r\nContent-Length: 8\r\n\r\n12345678")
		b.beside(pageOf)
		if got := b.ask(codec.HTTP2, "GET", "/"); got.status != c.status || !strings.Contains(got.body, c.content) || !got.complete {
			t.Errorf("%s: %d %q", c.what, got.status, got.body)
		}
	}
}

func TestErrorPagesOptions(t *testing.T) {
	if _, err := NewErrorPages(ErrorPagesOptions{Path: "x"}); err == nil {
		t.Error("a path that is none is taken")
	}
	o := ErrorPagesOptions{Path: "/"}
	o.Statuses.Add(300, 500)
	if _, err := NewErrorPages(o); err == nil {
		t.Error("a status that says that all is well is taken")
	}
}
