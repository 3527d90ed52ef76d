package redfish

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/fault"
	"agentwatt/shared/power"
)

const password = "correct-horse"

func guarded(t testing.TB) *device {
	d := host(t)
	d.user, d.password = "reader", password
	return d
}

func TestBasicAndSession(t *testing.T) {
	for _, session := range []bool{false, true} {
		d := guarded(t)
		s := d.open(t, func(o *Options) { o.Session = session })
		if got := read(t, s); len(got) != 2 {
			t.Errorf("session %v: values %v", session, got)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		d.with(func() {
			want := 0
			if session {
				want = 1
			}
			if d.logins != want || d.ended != want || d.failures != 0 {
				t.Errorf("session %v: %d logins, %d ended, %d refused", session, d.logins, d.ended, d.failures)
			}
		})
	}
}

// A wrong password is tried once, not per request: accounts are locked after a few.
func TestWrongPassword(t *testing.T) {
	for _, session := range []bool{false, true} {
		d := guarded(t)
		_, err := d.try(t, func(o *Options) { o.Session, o.Password = session, "battery-staple" })
		if !errors.Is(err, sampler.ErrUnavailable) || !errors.Is(err, sampler.ErrRefused) {
			t.Errorf("session %v: %v", session, err)
		}
		if hint := fault.Advice(err); !strings.Contains(hint, "password") {
			t.Errorf("session %v: hint %q", session, hint)
		}
		if strings.Contains(err.Error(), "battery") {
			t.Errorf("the error tells the password: %v", err)
		}
		d.with(func() {
			if d.failures != 1 {
				t.Errorf("session %v: the password was tried %d times", session, d.failures)
			}
		})
	}
}

// When the password changes under way, it is tried less and less often; when it is right again, values come back.
func TestAPasswordThatChanges(t *testing.T) {
	d := guarded(t)
	s := d.open(t)
	d.with(func() { d.password = "changed" })
	for range 600 {
		d.advance(time.Second)
		for id, x := range samples(t, s) {
			if x.Status != power.Denied || x.Raw != 0 {
				t.Fatalf("%s: %+v", id, x)
			}
		}
	}
	d.with(func() {
		if d.failures < 3 || d.failures > 6 { // 1 about a document, then after 0, 1, 3, 7 minutes
			t.Errorf("the old password was tried %d times in 10 minutes", d.failures)
		}
		d.password = password
	})
	for range 900 {
		d.advance(time.Second)
		if len(read(t, s)) == 2 {
			return
		}
	}
	t.Error("no value within 15 minutes")
}

func TestATokenThatExpires(t *testing.T) {
	d := guarded(t)
	s := d.open(t, func(o *Options) { o.Session = true })
	read(t, s)
	d.with(func() { d.token = "another" })
	d.advance(time.Second)
	if got := read(t, s); len(got) != 2 {
		t.Errorf("values %v", got)
	}
	d.with(func() {
		if d.logins != 2 || d.failures != 1 {
			t.Errorf("%d logins, %d refused", d.logins, d.failures)
		}
	})
}

// One document that is refused to a good account costs no login per read, and no other document.
func TestADocumentThatIsRefused(t *testing.T) {
	for _, session := range []bool{false, true} {
		d := guarded(t)
		s := d.open(t, func(o *Options) { o.Session = session })
		secret := "/redfish/v1/Chassis/1/Sensors/Power"
		d.with(func() {
			d.answer = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == secret {
					w.WriteHeader(http.StatusUnauthorized)
				}
				return r.URL.Path == secret
			}
		})
		for range 300 {
			d.advance(time.Second)
			got := samples(t, s)
			if x := got["Chassis/1/power"]; x.Status != power.Denied {
				t.Fatalf("session %v: status %v", session, x.Status)
			}
			if x := got["Chassis/1/energy"]; x.Status != power.OK {
				t.Fatalf("session %v: the other document has status %v", session, x.Status)
			}
		}
		d.with(func() {
			if d.logins > 15 || d.ended < d.logins-2 {
				t.Errorf("session %v: %d logins, %d ended", session, d.logins, d.ended)
			}
		})
	}
}
