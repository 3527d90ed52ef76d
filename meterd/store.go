package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"agentwatt/meterd/internal/secret"
	"agentwatt/shared/bus"
	"agentwatt/shared/evidence"
	"agentwatt/shared/fault"
)

// store is where batches go: the embedded bus, or a cluster elsewhere.
type store struct {
	server    *bus.Server // nil: direct
	direct    *bus.Direct // nil: server
	publisher *bus.Publisher
	key       *evidence.Key // of the host
}

// openStore opens the bus, or the way to the cluster. It outlives ctx, so that the last batches find it.
func openStore(ctx context.Context, conf config, host string, log *slog.Logger) (store, error) {
	if conf.Direct.URL != "" {
		key, err := hostKey(conf)
		if err != nil {
			return store{}, err
		}
		direct, err := openDirect(conf.Direct, host, key, log)
		if err != nil {
			return store{}, err
		}
		return store{direct: direct, publisher: direct.Publisher(), key: key}, nil
	}
	return openBus(ctx, conf, host, log)
}

// openBus starts the embedded bus.
func openBus(ctx context.Context, conf config, host string, log *slog.Logger) (store, error) {
	o := bus.ServerOptions{
		Listen: conf.Bus.Listen, Dir: conf.Bus.Dir, Host: host, MaxBytes: int64(conf.Bus.MaxBytes), MaxAge: time.Duration(conf.Bus.MaxAge),
		Rollups: conf.Rollups.ages(), Readers: conf.Bus.Readers, Log: log,
	}
	if conf.Bus.TLS.given() {
		o.TLS = &bus.TLS{CertFile: conf.Bus.TLS.CertFile, KeyFile: conf.Bus.TLS.KeyFile, ClientCAFile: conf.Bus.TLS.ClientCAFile}
	}
	if conf.Hub.URL != "" {
		o.Hub = &bus.Hub{URL: conf.Hub.URL, CAFile: conf.Hub.CAFile}
	}
	var err error
	if o.Key, err = hostKey(conf); err != nil {
		return store{}, err
	}
	server, err := bus.Serve(context.WithoutCancel(ctx), o)
	if errors.Is(err, fs.ErrPermission) {
		return store{}, fault.Hint(err, "give meterd a directory that it may write to: --dir, or bus.dir in its configuration")
	}
	if err != nil {
		return store{}, fault.Hint(err, "if another meterd runs here, stop it, or give this one a --listen and a --dir of its own")
	}
	publisher, err := server.Publisher()
	if err != nil {
		server.Close()
		return store{}, fmt.Errorf("open the bus for writing: %w", err)
	}
	return store{server: server, publisher: publisher, key: o.Key}, nil
}

const keyName = "host.key" // in bus.dir

// hostKey reads the key of the host, and makes it at the first start, unless it is a credential.
func hostKey(conf config) (*evidence.Key, error) {
	key, err := readKey(conf)
	if err != nil {
		return nil, fault.Hint(fmt.Errorf("this host's key: %w", err), "key_file names the file; it, or else bus.dir, must be meterd's own")
	}
	return key, nil
}

func readKey(conf config) (*evidence.Key, error) {
	if conf.KeyFile != "" && !strings.Contains(conf.KeyFile, "/") {
		path, err := secret.Path(conf.KeyFile)
		if err != nil {
			return nil, err
		}
		return evidence.ReadKey(path)
	}
	path := cmp.Or(conf.KeyFile, filepath.Join(conf.Bus.Dir, keyName))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	return evidence.LoadKey(path)
}

// last returns the last batch of each source.
func (s store) last(ctx context.Context) ([]bus.Message, error) {
	if s.server != nil {
		return s.server.Last(ctx)
	}
	return s.direct.Last(ctx)
}

// url is where readers connect.
func (s store) url(conf config) string {
	if s.server != nil {
		return s.server.URL()
	}
	return bus.Redact(conf.Direct.URL)
}

func (s store) close() {
	s.publisher.Close()
	if s.server != nil {
		s.server.Close()
	} else {
		s.direct.Close()
	}
}
