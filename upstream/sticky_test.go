package upstream

import (
	"strings"
	"testing"

	"traffic_management/codec"
)

func TestStickyCookies(t *testing.T) {
	o := &Options{Sticky: &Sticky{Name: "srv", Attributes: "; Path=/; HttpOnly", Key: []byte("secret")}}
	s := NewService("s", o, nil)
	set := targetsOf(1, 1, 1)
	s.SetTargets(set)
	request := func(cookies ...string) *codec.Head {
		h := new(codec.Head)
		for _, c := range cookies {
			h.Fields = append(h.Fields, codec.NewField(codec.FieldCookie, []byte(c)))
		}
		return h
	}
	values := map[string]bool{}
	for i, x := range set {
		pair, attributes, _ := strings.Cut(string(s.Cookie(x)), ";")
		if values[pair] || attributes != " Path=/; HttpOnly" || len(pair) != len("srv=")+2*cookieBytes {
			t.Errorf("target %d has the cookie %s", i, s.Cookie(x))
		}
		values[pair] = true
		for _, h := range []*codec.Head{request(pair), request("a=b; " + pair + "; c=d"), request("a=b", " "+pair),
			request("srv2=x;" + pair)} {
			if s.Stuck(h) != x {
				t.Errorf("target %d: %s does not lead to it", i, h.Fields[len(h.Fields)-1].Value)
			}
		}
	}
	pair, _, _ := strings.Cut(string(s.Cookie(set[0])), ";")
	for _, c := range []string{"", "srv=", "srv=1", "srv", pair[1:], pair + "0", "x" + pair, strings.ToUpper(pair)} {
		if x := s.Stuck(request(c)); x != nil {
			t.Errorf("%q leads to %s", c, x.ID)
		}
	}
	for _, c := range []struct {
		change func()
		want   *Target
	}{
		{func() { set[0].SetDraining(true); set[0].SetWeight(0) }, set[0]},
		{func() { set[0].SetHealth(false, 0, "test") }, nil},
		{func() { set[0].SetHealth(true, 0, "test"); s.SetTargets(set[1:]) }, nil},
		{func() { s.SetTargets(set) }, set[0]},
		{func() { s.SetOptions(&Options{}) }, nil},
	} {
		c.change()
		if got := s.Stuck(request(pair)); got != c.want {
			t.Errorf("the cookie leads to %v, want %v", got, c.want)
		}
	}
	if got := s.Cookie(set[0]); got != nil {
		t.Errorf("a service without sticky sessions has the cookie %s", got)
	}
}

// The value of a cookie is made of the key, the service and the target, so that another process makes the same, and a
// cookie of one service does not do for another.
func TestStickyCookieIsKeyed(t *testing.T) {
	cookie := func(service, key string) string {
		s := NewService(service, &Options{Sticky: &Sticky{Name: "srv", Key: []byte(key)}}, nil)
		set := targetsOf(1)
		s.SetTargets(set)
		return string(s.Cookie(set[0]))
	}
	one, again, otherKey, otherService := cookie("s", "k"), cookie("s", "k"), cookie("s", "l"), cookie("r", "k")
	if one != again || one == otherKey || one == otherService {
		t.Errorf("cookies are %s, %s, with another key %s, of another service %s", one, again, otherKey, otherService)
	}
}

// A client's server is chosen whatever the strategy says, until it cannot be used.
func TestOpenSticks(t *testing.T) {
	b := newBed(t, 3, func(o *Options) { o.Sticky = &Sticky{Name: "srv", Key: []byte("k")} })
	for range 4 {
		b.openTo(&Query{Stick: b.targets[2]}, 2)
	}
	b.targets[2].SetDraining(true)
	b.openTo(&Query{Stick: b.targets[2]}, 2)
	b.targets[0].SetHealth(false, 0, "test")
	b.openTo(&Query{Stick: b.targets[2], Tried: b.targets[2:]}, 1)
	b.targets[2].SetHealth(false, 0, "test")
	b.openTo(&Query{Stick: b.targets[2]}, 1)
	b.clean()
}

// openTo opens and releases an attempt, which must be to this server.
func (b *bed) openTo(q *Query, want int) {
	b.t.Helper()
	c := &caller{bed: b}
	c.attempt = b.service.Open(b.pools, q, c)
	b.seen[c.attempt] = true
	if got := c.attempt.Target(); got != b.targets[want] {
		b.t.Errorf("the attempt is to %v, want %v", got, b.targets[want])
	}
	c.release()
	b.loop.Run()
}
