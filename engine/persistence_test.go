package engine_test

import (
	"fmt"
	"strings"
	"testing"
)

// answer serves one request on a server's connection: it reads the head and its stated content, and answers with the
// request's path and content.
func (p *peer) answer() (head string) {
	p.t.Helper()
	head = p.head()
	content := ""
	if strings.Contains(head, "\r\nContent-Length: ") {
		content, _ = p.read(lengthOf(p.t, head))
	}
	p.say(response(pathOf(head) + " " + content))
	return head
}

// response is a whole response with this content.
func response(content string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(content), content)
}

func pathOf(head string) string {
	_, rest, _ := strings.Cut(head, " ")
	path, _, _ := strings.Cut(rest, " ")
	return path
}

// TestPipelining sends many requests at once; the answers come in order, over one connection to the server.
func TestPipelining(t *testing.T) {
	const requests = 50
	var gets, posts, gotGets, gotPosts strings.Builder
	for i := range requests {
		fmt.Fprintf(&gets, "GET /%d HTTP/1.1\r\nHost: a\r\n\r\n", i)
		gotGets.WriteString(response(fmt.Sprintf("/%d ", i)))
		content := strings.Repeat("x", i*7)
		fmt.Fprintf(&posts, "POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", i, len(content), content)
		gotPosts.WriteString(response(fmt.Sprintf("/%d %s", i, content)))
	}
	for _, test := range []struct {
		name       string
		say        func(*peer, string)
		send, want string
	}{
		{"without content", (*peer).say, gets.String(), gotGets.String()},
		{"with content", (*peer).say, posts.String(), gotPosts.String()},
		{"without content, by bytes", (*peer).sayByBytes, gets.String(), gotGets.String()},
		{"with content, by bytes", (*peer).sayByBytes, posts.String(), gotPosts.String()},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := listen(t)
			p := site{servers: []string{b.address}}.start(t)
			client := p.dial(t)
			sent := make(chan struct{})
			go func() { // the proxy does not read ahead without bound
				defer close(sent)
				test.say(client, test.send)
			}()
			server := b.accept(t)
			for range requests {
				server.answer()
			}
			client.hear(test.want)
			<-sent
			b.expectNoMore(t)
		})
	}
}

// TestPipelinedBehindLarge has a response larger than any buffer before another one.
func TestPipelinedBehindLarge(t *testing.T) {
	b := listen(t)
	p := site{servers: []string{b.address}}.start(t)
	client := p.dial(t)
	client.say("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
	server := b.accept(t)
	large := response(strings.Repeat("large ", 1<<20))
	server.head()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		server.say(large)
	}()
	client.hear(large)
	<-sent
	server.answer()
	client.hear(response("/2 "))
}
