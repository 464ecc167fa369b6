package upstream

import (
	"slices"
	"strings"
	"testing"
	"time"

	"traffic_management/engine/reactor"
)

// arrange changes targets as a text says: letters are positions, capitals of what follows them: D down, E ejected for an
// hour, O draining, W weight 0, B backup.
func arrange(set []*Target, text string) {
	for _, word := range strings.Fields(text) {
		for _, p := range word[1:] {
			x := set[p-'a']
			switch word[0] {
			case 'D':
				x.SetHealth(false, 0, "test")
			case 'E':
				x.ejectedUntil.Store(int64(time.Hour))
				x.mark(isEjected, true)
			case 'O':
				x.SetDraining(true)
			case 'W':
				x.SetWeight(0)
			case 'B':
				x.SetBackup(true)
			}
		}
	}
}

// Which targets are chosen from, with every strategy.
func TestLevels(t *testing.T) {
	for _, c := range []struct {
		name      string
		targets   int
		state     string // see arrange
		threshold int
		tried     string
		want      string // the targets that get requests; "" none
	}{
		{"all up", 3, "", 10, "", "abc"},
		{"down, ejected, drained, without weight", 6, "Db Ec Od We", 10, "", "af"},
		{"a backup waits", 3, "Bc", 10, "", "ab"},
		{"a backup steps in for the last primary", 3, "Bc Da Eb", 10, "", "c"},
		{"a backup steps in for drained ones", 3, "Bc Oa Wb", 10, "", "c"},
		{"backups have a share before any is tried twice", 3, "Bc", 10, "ab", "c"},
		{"all were tried", 3, "Bc", 10, "abc", "ab"},
		{"all primaries were tried, the backup is down", 3, "Bc Dc", 10, "ab", "ab"},
		{"too few primaries: backups help", 4, "Bd Dab", 50, "", "cd"},
		{"just enough primaries", 5, "Be Dab", 50, "", "cd"},
		{"too few of all: panic", 4, "Dabc", 50, "", "abcd"},
		{"panic leaves out what an operator took out", 5, "Dabcd Oa Wb", 50, "", "cde"},
		{"panic leaves out backups that are down", 4, "Dabcd Bd", 10, "", "abc"},
		{"panic of backups where there is no primary", 3, "Oa Dbc Bbc", 10, "", "bc"},
		{"never panic", 2, "Dab", 0, "", ""},
		{"never panic, one is left", 10, "Dabcdefghi", 0, "", "j"},
		{"one in ten is not fewer than 10 %", 10, "Dabcdefghi", 10, "", "j"},
		{"one in eleven is", 11, "Dabcdefghi Ej", 10, "", "abcdefghijk"},
		{"nothing at all", 2, "Oab", 10, "", ""},
	} {
		for _, s := range allStrategies {
			t.Run(c.name+"/"+s.String(), func(t *testing.T) {
				set := targetsOf(same(1, c.targets)...)
				arrange(set, c.state)
				var tried []*Target
				for _, p := range c.tried {
					tried = append(tried, set[p-'a'])
				}
				b := balancerOf(Options{Strategy: s, PanicThreshold: c.threshold}, set, 0, 0)
				seen := map[byte]bool{}
				for i := range uint64(200) {
					b.ask.key = scramble(i)
					if at := b.next(scramble(^i), tried...); at >= 0 {
						seen['a'+byte(at)] = true
					}
				}
				got := []byte{}
				for p := range seen {
					got = append(got, p)
				}
				slices.Sort(got)
				if string(got) != c.want {
					t.Errorf("requests go to %q, want %q", got, c.want)
				}
			})
		}
	}
}

// A change of any target is seen with the next choice.
func TestRosterFollows(t *testing.T) {
	set := targetsOf(1, 1)
	b := balancerOf(Options{}, set, 0, 0)
	for i, c := range []struct {
		change func()
		want   string
	}{
		{func() {}, "abab"},
		{func() { set[0].SetHealth(false, 0, "test") }, "bbbb"},
		{func() { set[0].SetHealth(true, 0, "test") }, "abab"},
		{func() { set[1].SetDraining(true) }, "aaaa"},
		{func() { set[1].SetDraining(false); set[0].SetWeight(0) }, "bbbb"},
		{func() { set[0].SetWeight(5); set[1].SetBackup(true) }, "aaaa"},
		{func() { set[1].SetBackup(false) }, "baba"},
	} {
		c.change()
		if got := letters(b, 4); got != c.want {
			t.Errorf("change %d: picked %s, want %s", i, got, c.want)
		}
	}
}

// A target that sticks to a client's wish is used for it although it drains, but not when it is down or was tried.
func TestSticks(t *testing.T) {
	for _, c := range []struct {
		state     string
		threshold int
		tried     bool
		want      int
	}{
		{"", 0, false, 1},
		{"Ob", 0, false, 1},
		{"Wb", 0, false, 1},
		{"Bb", 0, false, 1},
		{"Db", 0, false, -1},
		{"Eb", 0, false, -1},
		{"Dabc", 50, false, 1}, // nothing is known to be better
		{"", 0, true, -1},
	} {
		set := targetsOf(1, 1, 1)
		arrange(set, c.state)
		b := balancerOf(Options{PanicThreshold: c.threshold}, set, 0, 0)
		if c.tried {
			b.ask.tried = set[1:2]
		}
		if got := b.sticks(set[1]); got != c.want {
			t.Errorf("%q, tried %v: position %d, want %d", c.state, c.tried, got, c.want)
		}
	}
	b := balancerOf(Options{}, targetsOf(1), 0, 0)
	if got := b.sticks(newTestTarget(1)); got != -1 {
		t.Errorf("a target of no service is at %d", got)
	}
}

// The weight of a target grows in a line from a tenth after it joined, came up, or returned.
func TestSlowStart(t *testing.T) {
	const ramp = 100 * time.Second
	at := func(s int) reactor.Instant { return reactor.Instant(time.Hour).Add(time.Duration(s) * time.Second) }
	for name, join := range map[string]func(s *Service, set []*Target){
		"joined": func(s *Service, set []*Target) { s.SetTargets(set) },
		"came up": func(s *Service, set []*Target) {
			set[1].SetHealth(false, at(-10), "test")
			set[1].SetHealth(true, at(0), "test")
		},
		"returned": func(s *Service, set []*Target) {
			set[1].ejectedUntil.Store(int64(at(0)))
			set[1].mark(isEjected, true)
		},
	} {
		t.Run(name, func(t *testing.T) {
			set := targetsOf(1, 1)
			s := NewService("s", &Options{Strategy: Random, SlowStart: ramp}, nil)
			first := set
			if name == "joined" {
				first = set[:1]
			}
			s.SetTargets(first)
			if w := set[0].share(at(-20), ramp); w != wholeWeight {
				t.Errorf("a target of the first set has %d of its weight", w)
			}
			join(s, set)
			b := newBalancer(s, s.setup.Load(), 0, 0, nil)
			for _, c := range []struct {
				after int
				want  float64
			}{{0, 0.1}, {25, 0.325}, {50, 0.55}, {99, 0.99}, {100, 1}, {500, 1}} {
				b.ask.now = at(c.after)
				b.refresh(b.ask.now)
				got := float64(b.weights[1]) / wholeWeight
				if got < c.want-0.015 || got > c.want+0.015 || b.weights[0] != wholeWeight {
					t.Errorf("after %d s: %.3f of the weight, want %.3f", c.after, got, c.want)
				}
				if st := set[1].Status(at(c.after)); st.SlowStart < c.want-0.015 || st.SlowStart > c.want+0.015 {
					t.Errorf("after %d s: the status says %.3f", c.after, st.SlowStart)
				}
			}
		})
	}
}

// The line is followed between changes: a request a while later finds a larger weight.
func TestSlowStartIsFollowed(t *testing.T) {
	set := targetsOf(1, 1)
	b := balancerOf(Options{Strategy: Weighted, SlowStart: time.Minute}, set, 0, 0)
	set[1].SetHealth(false, 1, "test")
	set[1].SetHealth(true, 1, "test")
	shares := []int{}
	for range 3 {
		got := count(t, b, 2, 1000, 1)
		shares = append(shares, got[1])
		b.ask.now = b.ask.now.Add(30 * time.Second)
	}
	if shares[0] < 80 || shares[0] > 100 || shares[1] < 340 || shares[1] > 370 || shares[2] < 498 || shares[2] > 502 {
		t.Errorf("of 1000 requests each the target that joined got %v, want about 91, 355 and 500", shares)
	}
}
