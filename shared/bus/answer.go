package bus

import (
	"fmt"

	"github.com/nats-io/nats.go"
)

// ClockSubject is where readers ask for the clock of a host; see Server.Answer and Conn.Ask.
func ClockSubject(host string) string { return clockAPI + token(host) }

// Answer has fn answer the requests of readers on a subject, one at a time, until the server is closed. A nil answer is none.
func (s *Server) Answer(subject string, fn func(request []byte) []byte) error {
	_, err := s.js.Conn().Subscribe(subject, func(m *nats.Msg) {
		if answer := fn(m.Data); answer != nil {
			_ = m.Respond(answer) // who asked may be gone
		}
	})
	if err != nil {
		return fmt.Errorf("answer %s: %w", subject, err)
	}
	return nil
}
