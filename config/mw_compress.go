package config

import (
	"fmt"
	"regexp"
	"slices"
)

// Compress is what content of responses is compressed, and how.
type Compress struct {
	MinBody          int64                  // by Content-Length, in bytes
	Algorithms       []CompressionAlgorithm // in the order in which they are taken where a client does not care
	Levels           CompressionLevels
	ContentTypes     []string
	Excluded         []string
	ExcludeSetCookie bool
}

// CompressionAlgorithm is a content coding.
type CompressionAlgorithm string

// Algorithms.
const (
	CompressionBrotli CompressionAlgorithm = "br"
	CompressionZstd   CompressionAlgorithm = "zstd"
	CompressionGzip   CompressionAlgorithm = "gzip"
)

func (CompressionAlgorithm) words() []CompressionAlgorithm {
	return []CompressionAlgorithm{CompressionBrotli, CompressionZstd, CompressionGzip}
}

// CompressionLevels are how hard each algorithm tries.
type CompressionLevels struct{ Brotli, Zstd, Gzip int }

func (c *CompressionLevels) keys(o *object) {
	o.key("br", integer(&c.Brotli, 3, 0, 9), "of Brotli")
	o.key("zstd", integer(&c.Zstd, 3, 1, 9), "of Zstandard: 1 and 2, 3 to 5, and 6 to 9 are the same")
	o.key("gzip", integer(&c.Gzip, 5, 1, 9), "of gzip")
}

// Of is the level of an algorithm.
func (c *CompressionLevels) Of(a CompressionAlgorithm) int {
	switch a {
	case CompressionBrotli:
		return c.Brotli
	case CompressionZstd:
		return c.Zstd
	}
	return c.Gzip
}

// compressible are the media types that are compressed unless the file says which. Images, sound, video and archives are
// compressed by their makers.
var compressible = []string{"text/*", "application/json", "application/*+json", "application/x-ndjson",
	"application/javascript", "application/x-javascript", "application/xml", "application/*+xml", "application/wasm",
	"image/svg+xml", "image/x-icon", "font/ttf", "font/otf"}

func (c *Compress) keys(o *object) {
	o.key("min_response_body_bytes", integer(&c.MinBody, 1024, 0, 1<<30),
		"responses whose `Content-Length` is less pass as they are")
	o.key("algorithms", listValue[CompressionAlgorithm]{&c.Algorithms, CompressionAlgorithm("").words(), 1, algorithm},
		"those that are used; of several that a client likes as well, the first")
	o.key("level", section(&c.Levels), "How hard the algorithms try: more takes longer, and leaves less to send.")
	o.key("content_types", listOr(&c.ContentTypes, compressible, mediaType), "what is compressed")
	o.key("excluded_content_types", list(&c.Excluded, 0, mediaType), "what of that is not")
	o.key("exclude_set_cookie", boolean(&c.ExcludeSetCookie, false),
		"leave responses alone that set a cookie: the length of a compressed one may tell of secrets in it (BREACH)")
}

// algorithm is one of those in a list.
func algorithm(dst *CompressionAlgorithm) value {
	return withoutDefault(choice(dst, CompressionBrotli), CompressionAlgorithm(""))
}

// mediaTypePattern is a media type, or those with a suffix (RFC 6838 section 4.2), or all of a type.
var mediaTypePattern = regexp.MustCompile(`^[A-Za-z0-9!#$&^_.+-]+/([A-Za-z0-9!#$&^_.+-]+|\*(\+[A-Za-z0-9!#$&^_.+-]+)?)$`)

// mediaType is a pattern of media types.
func mediaType(dst *string) value {
	form := shape{kind: kindText, expected: "a media type such as text/html, text/* or application/*+json",
		pattern: mediaTypePattern.String()}
	return scalar[string]{dst, "", form, func(s string) (string, error) {
		if !mediaTypePattern.MatchString(s) {
			return "", errForm
		}
		return s, nil
	}}
}

// checkCompress tells of algorithms that are there twice.
func (l *loader) checkCompress(path string, c *Compress) {
	for i, a := range c.Algorithms {
		if a != "" && slices.Contains(c.Algorithms[:i], a) {
			l.wrong(fmt.Sprintf("%s.algorithms[%d]", path, i), "%s is there already", a)
		}
	}
}
