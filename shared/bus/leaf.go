package bus

import "context"

// Hub says where the hub is that mirrors what this server stores.
type Hub struct {
	URL    string // tls://host:port, or several with commas between them
	CAFile string // certificate of the authority that signed the hub's; empty: those of the system
}

// hubStats says how things stand with the hub.
func (s *Server) hubStats(context.Context) HubStats {
	return HubStats{Configured: s.options.Hub != nil}
}
