package certs

import "time"

// Files are the paths of all files that were read. Any goroutine.
func (s *Server) Files() (files []string) {
	for i := range s.pairs {
		files = append(files, s.pairs[i].certFile, s.pairs[i].keyFile)
	}
	for i := range s.sets {
		if s.sets[i].caFile != "" {
			files = append(files, s.sets[i].caFile)
		}
	}
	if s.config.TicketKeyFile != "" {
		files = append(files, s.config.TicketKeyFile)
	}
	return files
}

// Certificate is one certificate in force.
type Certificate struct {
	File    string
	Name    string // the first host name in it, else the common name
	Expires time.Time
}

// Certificates are those in force, in the order of the configuration. Any goroutine.
func (s *Server) Certificates() (all []Certificate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.loaded.pairs {
		c := Certificate{File: p.certFile, Name: p.leaf.Subject.CommonName, Expires: p.leaf.NotAfter}
		if len(p.names) > 0 {
			c.Name = p.names[0]
		}
		all = append(all, c)
	}
	return all
}

// Warnings is what is odd about the certificates. Any goroutine.
func (s *Server) Warnings(now time.Time) (texts []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.loaded.pairs {
		texts = append(texts, p.warnings(now)...)
	}
	return texts
}
