package bus

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"agentwatt/shared/evidence"
)

// HubOptions describe a hub: a NATS server that meterds connect to as leaf nodes, with a mirror of each of their streams.
type HubOptions struct {
	Listen string // of readers, host:port
	Leafs  string // of hosts, host:port
	Dir    string // of the store
	TLS    *TLS   // of both listeners; needed beyond loopback
	Key    string // public nkey of whoever runs the hub: it makes the mirrors, and signs checkpoints

	Hosts   []HubHost
	Readers []string // public nkeys of those who may read

	MaxBytes int64         // of the batches of one host; 0: as much as there is
	MaxAge   time.Duration // of the batches; 0: for ever
}

// HubHost is one host of a hub.
type HubHost struct {
	Name string
	Key  string // its public nkey, as meterd key shows it
}

// Config returns the configuration of a stock nats-server for the hub. Who is who is decided by keys alone: a host may answer for
// its own streams and nothing else, a reader may read and nothing else.
func (o HubOptions) Config() string {
	var out strings.Builder
	out.WriteString("# The hub of meterds, as meterd hub config writes it, for nats-server " + server.VERSION + " or later.\n")
	fmt.Fprintf(&out, "server_name: hub\nlisten: %q\n%s", o.Listen, o.tlsBlock())
	fmt.Fprintf(&out, "max_payload: %d\n", maxPayload)
	fmt.Fprintf(&out, "jetstream {\n  store_dir: %q\n  domain: hub\n  sync_interval: always\n  max_memory_store: 64MB\n  max_file_store: 1PB\n}\n",
		filepath.Clean(o.Dir))
	fmt.Fprintf(&out, "leafnodes {\n  listen: %q\n  no_advertise: true\n%s}\n", o.Leafs, o.tlsBlock())
	list := servedBy([]string{"*"})
	fmt.Fprintf(&out, "accounts {\n  %s {\n    jetstream: enabled\n    users: [\n      {nkey: %q}\n", account, o.Key)
	for _, h := range o.Hosts {
		fmt.Fprintf(&out, "      {nkey: %q, %s}\n", h.Key, hostRights(h.Name))
	}
	fmt.Fprintf(&out, "    ]\n    exports: [\n%s    ]\n  }\n  READ {\n    users: [\n", exports(list))
	for _, key := range o.Readers {
		fmt.Fprintf(&out, "      {nkey: %q, %s}\n", key, readerRights())
	}
	fmt.Fprintf(&out, "    ]\n    imports: [\n%s    ]\n  }\n}\n", imports(list))
	return out.String()
}

func (o HubOptions) tlsBlock() string {
	if o.TLS == nil {
		return ""
	}
	return fmt.Sprintf("  tls {\n    cert_file: %q\n    key_file: %q\n    min_version: \"1.3\"\n    timeout: %d\n  }\n", o.TLS.CertFile, o.TLS.KeyFile, tlsTimeout)
}

// hostRights are the permissions of a host at the hub: its own messages, answers to what it is asked; and to be asked.
func hostRights(host string) string {
	h := domain(host)
	return fmt.Sprintf("permissions: {publish: [%q, \"$JSC.R.>\", \"_INBOX.>\", \"_R_.>\"], subscribe: [%q, \"$JS.FC.>\", %q]}, allowed_connection_types: [LEAFNODE]",
		mirrorRoot+h+".>", hostAPI(host)+".>", clockAPI+h)
}

// Check says what of the options cannot work.
func (o HubOptions) Check() error {
	for _, k := range append(o.keys(), o.Key) {
		if err := evidence.CheckPublic(k); err != nil {
			return err
		}
	}
	names, keys := map[string]bool{}, map[string]bool{o.Key: true}
	for _, h := range o.Hosts {
		switch {
		case h.Name == "":
			return fmt.Errorf("the host with key %s has no name", h.Key)
		case names[h.Name]:
			return fmt.Errorf("host %s is there twice", h.Name)
		case keys[h.Key]:
			return fmt.Errorf("host %s: key %s is another's", h.Name, h.Key)
		}
		names[h.Name], keys[h.Key] = true, true
	}
	for _, k := range o.Readers {
		if keys[k] {
			return fmt.Errorf("reader %s: that key is another's", k)
		}
	}
	for _, l := range []string{o.Listen, o.Leafs} {
		if !loopback(l) && o.TLS == nil {
			return fmt.Errorf("listen on %s: beyond this host a certificate is needed", l)
		}
	}
	return nil
}

func (o HubOptions) keys() []string {
	out := slices.Clone(o.Readers)
	for _, h := range o.Hosts {
		out = append(out, h.Key)
	}
	return out
}
