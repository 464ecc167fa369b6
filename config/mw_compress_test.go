package config

import (
	"reflect"
	"testing"
)

func TestCompress(t *testing.T) {
	c, err := Parse("c.yaml", []byte(minimal+`middlewares:
  usual: {compress: {}}
  own:
    compress:
      min_response_body_bytes: 0
      algorithms: [gzip, br]
      level: {br: 9, gzip: 1}
      content_types: [text/html, "application/*+json"]
      excluded_content_types: ["text/*"]
      exclude_set_cookie: true
`), testEnv)
	if err != nil {
		t.Fatal(err)
	}
	want := Compress{0, []CompressionAlgorithm{"gzip", "br"}, CompressionLevels{Brotli: 9, Zstd: 3, Gzip: 1},
		[]string{"text/html", "application/*+json"}, []string{"text/*"}, true}
	if got := *c.Middlewares["own"].Compress; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	usual := c.Middlewares["usual"].Compress
	if usual.MinBody != 1024 || !reflect.DeepEqual(usual.Algorithms, []CompressionAlgorithm{"br", "zstd", "gzip"}) ||
		usual.Levels != (CompressionLevels{3, 3, 5}) || len(usual.ContentTypes) < 10 || usual.Excluded != nil || usual.ExcludeSetCookie {
		t.Errorf("the defaults are %+v", usual)
	}
	for _, l := range []struct {
		of   CompressionAlgorithm
		want int
	}{{CompressionBrotli, 9}, {CompressionZstd, 3}, {CompressionGzip, 1}} {
		if got := want.Levels.Of(l.of); got != l.want {
			t.Errorf("level of %s: %d", l.of, got)
		}
	}
}

func TestCompressFaults(t *testing.T) {
	for _, tc := range []struct{ keys, want string }{
		{"algorithms: []", "c.yaml:4:30: middlewares.a.compress.algorithms: expected a list with at least one element, got none"},
		{"algorithms: [deflate]", `c.yaml:4:43: middlewares.a.compress.algorithms[0]: expected one of br, zstd, gzip, got "deflate"`},
		{"algorithms: [gzip, br, gzip]", "c.yaml:4:53: middlewares.a.compress.algorithms[2]: gzip is there already"},
		{"level: 5", "c.yaml:4:37: middlewares.a.compress.level: expected a mapping, got 5"},
		{"level: {br: 10}", "c.yaml:4:42: middlewares.a.compress.level.br: expected an integer from 0 to 9, got 10"},
		{"content_types: [text]", `c.yaml:4:46: middlewares.a.compress.content_types[0]: expected a media type such as text/html, text/* or application/*+json, got "text"`},
		{"excluded_content_types: ['*/*']", `c.yaml:4:55: middlewares.a.compress.excluded_content_types[0]: expected a media type such as text/html, text/* or application/*+json, got "*/*"`},
		{"min_response_body_bytes: -1", "c.yaml:4:55: middlewares.a.compress.min_response_body_bytes: expected an integer from 0 to 1073741824, got -1"},
	} {
		_, err := Parse("c.yaml", []byte(minimal+"middlewares: {a: {compress: {"+tc.keys+"}}}\n"), testEnv)
		if err == nil || err.Error() != tc.want {
			t.Errorf("%s\n got %v\nwant %s", tc.keys, err, tc.want)
		}
	}
}
