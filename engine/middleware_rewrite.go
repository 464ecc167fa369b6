package engine

import (
	"errors"

	"traffic_management/config"
	"traffic_management/engine/exchange"
	"traffic_management/mw"
)

// Middlewares of fields, paths and redirections, as makers has them.

// placed is the filter of a middleware's options, or the error with the place of the option that is wrong.
func placed[F exchange.Filter](b *builder, name, kind string) func(F, error) (exchange.Filter, error) {
	return func(f F, err error) (exchange.Filter, error) {
		var option *mw.OptionError
		switch {
		case errors.As(err, &option):
			key := "middlewares." + name + "." + kind + "." + option.Key
			return nil, config.Errors{{Position: b.config.Position(key), Key: key, Msg: option.Err.Error()}}
		case err != nil:
			return nil, err
		}
		return f, nil
	}
}

func (b *builder) headers(name string, m *config.Middleware) (exchange.Filter, error) {
	c := m.Headers
	o := mw.HeadersOptions{Request: fieldOptions(c.RequestHeaders), RequestAppend: fieldOptions(c.RequestAppend),
		Response: fieldOptions(c.ResponseHeaders), ResponseAppend: fieldOptions(c.ResponseAppend)}
	if s := c.Security; s != nil {
		o.Security = &mw.SecurityOptions{
			HSTSMaxAge:            s.HSTSMaxAge,
			HSTSIncludeSubdomains: s.HSTSIncludeSubdomains,
			HSTSPreload:           s.HSTSPreload,
			FrameOptions:          frameOptions[s.FrameOptions],
			NoSniff:               s.ContentTypeNosniff,
			PermissionsPolicy:     s.PermissionsPolicy,
		}
		if s.ReferrerPolicy != config.ReferrerOff {
			o.Security.ReferrerPolicy = string(s.ReferrerPolicy)
		}
	}
	if s := c.CORS; s != nil {
		o.CORS = &mw.CORSOptions{
			AllowOrigins:     s.AllowOrigins,
			AllowMethods:     s.AllowMethods,
			AllowHeaders:     s.AllowHeaders,
			ExposeHeaders:    s.ExposeHeaders,
			AllowCredentials: s.AllowCredentials,
			MaxAge:           s.MaxAge,
		}
	}
	return placed[*mw.Headers](b, name, "headers")(mw.NewHeaders(o))
}

var frameOptions = map[config.FrameOptions]string{config.FrameDeny: "DENY", config.FrameSameOrigin: "SAMEORIGIN"}

func fieldOptions(fields []config.Field) []mw.FieldOption {
	options := make([]mw.FieldOption, len(fields))
	for i, f := range fields {
		options[i] = mw.FieldOption{Name: f.Name, Value: f.Value}
	}
	return options
}

func (b *builder) stripPrefix(name string, m *config.Middleware) (exchange.Filter, error) {
	o := mw.StripPrefixOptions{Prefixes: m.StripPrefix.Prefixes}
	return placed[*mw.StripPrefix](b, name, "strip_prefix")(mw.NewStripPrefix(o))
}

func (b *builder) addPrefix(name string, m *config.Middleware) (exchange.Filter, error) {
	o := mw.AddPrefixOptions{Prefix: m.AddPrefix.Prefix}
	return placed[*mw.AddPrefix](b, name, "add_prefix")(mw.NewAddPrefix(o))
}

func (b *builder) replacePath(name string, m *config.Middleware) (exchange.Filter, error) {
	c := m.ReplacePath
	o := mw.ReplacePathOptions{Path: c.Path, Regex: c.Regex, Replacement: c.Replacement}
	return placed[*mw.ReplacePath](b, name, "replace_path")(mw.NewReplacePath(o))
}

func (b *builder) redirectScheme(name string, m *config.Middleware) (exchange.Filter, error) {
	c := m.RedirectScheme
	o := mw.RedirectSchemeOptions{Scheme: string(c.Scheme), Port: c.Port, Permanence: permanence(c.Permanent)}
	return placed[*mw.RedirectScheme](b, name, "redirect_scheme")(mw.NewRedirectScheme(o))
}

func (b *builder) redirectRegex(name string, m *config.Middleware) (exchange.Filter, error) {
	c := m.RedirectRegex
	o := mw.RedirectRegexOptions{Regex: c.Regex, Replacement: c.Replacement, Permanence: permanence(c.Permanent)}
	return placed[*mw.RedirectRegex](b, name, "redirect_regex")(mw.NewRedirectRegex(o))
}

func permanence(permanent bool) mw.Permanence {
	if permanent {
		return mw.Permanent
	}
	return mw.Temporary
}
