package bus

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/nats-io/nats-server/v2/server"
)

// Two accounts keep apart who may do what. METER has the streams; in it are those who store. READ has no JetStream: readers
// ask through what it imports, and can create nothing. What is stored cannot be reached from there.

// served is what readers may ask an account with streams, and its names in the account of readers.
type served struct {
	subject, as string
	stream      bool // many answers to one request
}

func servedBy(streams []string) []served {
	out := []served{{subject: "$JS.API.STREAM.NAMES", as: namesAPI}}
	for _, s := range streams {
		out = append(out,
			served{subject: "$JS.API.STREAM.INFO." + s, as: infoAPI + s},
			served{subject: directGet(s), as: getAPI + s, stream: true})
	}
	return append(out, served{subject: clockAPI + "*", as: clockAPI + "*"})
}

func exports(list []served) string {
	var out strings.Builder
	for _, s := range list {
		kind := "singleton"
		if s.stream {
			kind = "stream"
		}
		fmt.Fprintf(&out, "      {service: %q, response_type: %s}\n", s.subject, kind)
	}
	return out.String()
}

func imports(list []served) string {
	var out strings.Builder
	for _, s := range list {
		fmt.Fprintf(&out, "      {service: {account: %s, subject: %q}, to: %q}\n", account, s.subject, s.as)
	}
	return out.String()
}

// readerRights are the permissions of who reads: to ask, to hear what is stored as it comes, and to get answers.
func readerRights() string {
	return fmt.Sprintf("permissions: {publish: [%q, %q, %q, %q], subscribe: [%q, %q]}",
		namesAPI, infoAPI+"*", getAPI+"*", clockAPI+"*", subjects, "_INBOX.>")
}

// accounts is the configuration of the server within meterd. Storing needs a secret of this run, and a connection within the
// process. On loopback readers are whoever comes without a name; beyond it those whose nkeys are listed.
func (s *Server) accounts(o ServerOptions, anonymous bool) string {
	list := servedBy(sealed)
	var out strings.Builder
	fmt.Fprintf(&out, `
accounts {
  %s {
    jetstream: enabled
    users: [ {user: meterd, password: %q, allowed_connection_types: [IN_PROCESS]} ]
    exports: [
      {stream: %q}
%s    ]
  }
  READ {
    users: [
      {user: reader, password: %q, %s%s}
`, account, s.secret, subjects, exports(list), s.secret, readerRights(), onlyInside(anonymous))
	for _, key := range o.Readers {
		fmt.Fprintf(&out, "      {nkey: %q, %s}\n", key, readerRights())
	}
	fmt.Fprintf(&out, `    ]
    imports: [
      {stream: {account: %s, subject: %q}}
%s    ]
  }
}
`, account, subjects, imports(list))
	if anonymous {
		out.WriteString("no_auth_user: reader\n")
	}
	return out.String()
}

// onlyInside keeps the reader without a name off the network.
func onlyInside(anonymous bool) string {
	if anonymous {
		return ""
	}
	return ", allowed_connection_types: [IN_PROCESS]"
}

// authorize makes opts say who may do what.
func (s *Server) authorize(opts *server.Options, o ServerOptions) error {
	anonymous := len(o.Readers) == 0
	if o.Listen != "" && !loopback(o.Listen) && (anonymous || o.TLS == nil) {
		return fmt.Errorf("listen on %s: %w", o.Listen, errors.New("beyond this host a certificate and the keys of readers are needed"))
	}
	if err := opts.ProcessConfigString(s.accounts(o, anonymous)); err != nil {
		return fmt.Errorf("configure accounts: %w", err)
	}
	return nil
}

// loopback reports whether an address, host:port, can be reached from this host alone.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return true // which is an error of its own
	}
	ip := net.ParseIP(host)
	return host == "" || host == "localhost" || ip != nil && ip.IsLoopback()
}
