package bus

import (
	"strings"
	"testing"
)

func TestSubject(t *testing.T) {
	for _, c := range []struct{ host, source, want string }{
		{"gpu-01", "nvml", "power.gpu-01.nvml"},
		{"gpu-01.rack.example", "hwmon", "power.gpu-01%2Erack%2Eexample.hwmon"},
		{"", "*", "power.%.%2A"},
		{"a b", ">", "power.a%20b.%3E"},
		{"ö%", "x_Y", "power.%C3%B6%25.x_Y"},
	} {
		if got := Subject(c.host, c.source); got != c.want {
			t.Errorf("Subject(%q, %q): got %s, want %s", c.host, c.source, got, c.want)
		}
	}
	for _, bad := range []string{"", "power", "power.a", "power.a.b.c", "live.a.b", "power..b", "power.a.%2", "power.a.%ZZ", "power.a.b c"} {
		if host, source, err := ParseSubject(bad); err == nil {
			t.Errorf("ParseSubject(%q): got %q, %q, want an error", bad, host, source)
		}
	}
}

func FuzzSubject(f *testing.F) {
	f.Add("gpu-01.example", "nvml")
	f.Add("", "\x00")
	f.Fuzz(func(t *testing.T, host, source string) {
		subject := Subject(host, source)
		if strings.Count(subject, ".") != 2 || strings.ContainsAny(subject, " \t\r\n*>\x00") {
			t.Fatalf("Subject(%q, %q) = %q: not three plain tokens", host, source, subject)
		}
		h, s, err := ParseSubject(subject)
		if err != nil || h != host || s != source {
			t.Fatalf("%q: got %q, %q, %v, want %q, %q", subject, h, s, err, host, source)
		}
	})
}

func TestRedact(t *testing.T) {
	for _, c := range []struct{ url, want string }{
		{"nats://127.0.0.1:4222", "nats://127.0.0.1:4222"},
		{"nats://user:secret@hub:4222", "nats://hub:4222"},
		{"nats://token@hub:4222,tls://a:b@other:1", "nats://hub:4222,tls://other:1"},
		{"user:sec%zz@hub:4222", "hub:4222"},
		{"nats://user:p@ss%@hub:4222", "hub:4222"},
		{"nats://hub:4222?token=secret", "nats://hub:4222"},
		{"127.0.0.1:4222", "127.0.0.1:4222"},
	} {
		if got := Redact(c.url); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}
