package bus

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Hub says where the hub is that mirrors what this server stores.
type Hub struct {
	URL    string // tls://host:port, or several with commas between them; nats:// on loopback
	CAFile string // certificate of the authority that signed the hub's; empty: those of the system
}

// domain is the name under which the hub reaches the streams of a host.
func domain(host string) string { return token(host) }

// hostAPI is where the hub asks for the streams of a host.
func hostAPI(host string) string { return "$JS." + domain(host) + ".API" }

// mirrorRoot and a host come before the subjects on which its messages travel to the hub.
const mirrorRoot = "mirror."

// neverFromHub is what the hub may not send to a host: everything by which the store could be changed or added to. What is
// left is to ask for streams, and to have them delivered.
func neverFromHub(host string) []string {
	out := []string{subjects, rollupRoot + ".>", cursorRoot + ".>", "$JS.API.>"}
	for _, verb := range []string{
		"STREAM.CREATE.>", "STREAM.UPDATE.>", "STREAM.DELETE.>", "STREAM.PURGE.>", "STREAM.RESTORE.>", "STREAM.SNAPSHOT.>",
		"STREAM.MSG.DELETE.>", "STREAM.PEER.>", "STREAM.LEADER.>", "STREAM.TEMPLATE.>", "CONSUMER.LEADER.>", "CONSUMER.PAUSE.>",
		"META.>", "SERVER.>", "ACCOUNT.>",
	} {
		out = append(out, hostAPI(host)+"."+verb)
	}
	return out
}

// connectHub makes opts connect out to the hub as a leaf node, with the host's key. The server tries again for ever.
func connectHub(opts *server.Options, o ServerOptions) error {
	if o.Key == nil {
		return errors.New("connect to the hub: the host has no key")
	}
	urls, err := hubURLs(o.Hub.URL)
	if err != nil {
		return err
	}
	remote := &server.RemoteLeafOpts{
		URLs:             urls,
		LocalAccount:     account,
		Nkey:             o.Key.Seed(),
		DenyImports:      neverFromHub(o.Host),
		DenyExports:      []string{subjects, rollupRoot + ".>", cursorRoot + ".>"}, // the mirrors have them
		FirstInfoTimeout: leafTimeout,

		IgnoreDiscoveredServers: true, // the addresses that the configuration names, and no others
	}
	if urls[0].Scheme == "tls" {
		remote.TLS, remote.TLSTimeout = true, leafTimeout.Seconds()
		remote.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS13}
		if o.Hub.CAFile != "" {
			if remote.TLSConfig.RootCAs, err = authorities(o.Hub.CAFile); err != nil {
				return err
			}
		}
	}
	opts.JetStreamDomain = domain(o.Host)
	opts.LeafNode.Remotes = []*server.RemoteLeafOpts{remote}
	opts.LeafNode.ReconnectInterval = leafReconnect
	return nil
}

const (
	leafTimeout   = 5 * time.Second
	leafReconnect = time.Second
)

// hubURLs reads the addresses of a hub or a cluster: all of one kind, and encrypted beyond loopback.
func hubURLs(list string) ([]*url.URL, error) {
	var out []*url.URL
	for text := range strings.SplitSeq(list, ",") {
		u, err := url.Parse(strings.TrimSpace(text))
		switch {
		case err != nil || u.Host == "" || u.Scheme != "tls" && u.Scheme != "nats":
			return nil, fmt.Errorf("address %q: not tls://host:port", Redact(text))
		case u.User != nil:
			return nil, fmt.Errorf("address %s: the host's key says who it is, no user belongs there", Redact(text))
		case u.Scheme == "nats" && !loopback(u.Host):
			return nil, fmt.Errorf("address %s: beyond this host it is tls://", Redact(text))
		case len(out) > 0 && u.Scheme != out[0].Scheme:
			return nil, errors.New("addresses: nats:// and tls:// are mixed")
		}
		out = append(out, u)
	}
	return out, nil
}

// CheckHub says what of the addresses of a hub, or of a cluster, cannot be used.
func CheckHub(urls string) error {
	_, err := hubURLs(urls)
	return err
}

// hubStats says how things stand with the hub.
func (s *Server) hubStats(ctx context.Context) HubStats {
	if s.options.Hub == nil {
		return HubStats{}
	}
	out := HubStats{Configured: true, Connected: s.nats.NumLeafNodes() > 0}
	out.Behind, out.Known = s.behind(ctx)
	return out
}

// behind is how many messages of the stream Power the mirror at the hub has not confirmed, by the consumer with which it
// reads. A link that is cut leaves it standing for a while.
func (s *Server) behind(ctx context.Context) (n uint64, known bool) {
	stream, err := s.js.Stream(ctx, Power)
	if err != nil {
		return 0, false
	}
	consumers := stream.ListConsumers(ctx)
	for c := range consumers.Info() {
		if strings.HasPrefix(c.Config.DeliverSubject, mirrorRoot) {
			return c.NumPending, true
		}
	}
	return 0, false
}
