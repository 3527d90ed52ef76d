package redfish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/clock"
)

// How long credentials that were refused are not tried again. Many services lock an account after 3 to 5 wrong passwords
// within minutes, and then nobody gets in.
const (
	refusedFirst = time.Minute
	refusedMost  = time.Hour
)

// sessions is where one logs in if the service root does not say.
const sessions = "/redfish/v1/SessionService/Sessions"

var errNoToken = errors.New("log in: the service gave no token")

var errRefused = fmt.Errorf("user or password are refused: %w", sampler.ErrRefused)

// login holds the credentials and the state of the session.
type login struct {
	user, password string
	session        bool
	timeout        time.Duration // of a login
	now            func() clock.Stamp

	mu     sync.Mutex // held while logging in, so that it is done once
	token  string
	old    string        // a token that was refused: its session is ended when there is a new one
	place  string        // where the session is to be ended
	proved bool          // the credentials were good at least once since they were last refused
	pause  time.Duration // after the next refusal
	until  clock.Stamp   // no request before that
}

func newLogin(o Options) login {
	return login{user: o.User, password: o.Password, session: o.Session && o.User != "", timeout: o.Timeout, now: o.Now, pause: refusedFirst}
}

// sign puts credentials into r, logging in first where that is needed. It returns the token it used; empty: none.
func (l *login) sign(r *http.Request, c *client) (used string, err error) {
	if l.user == "" {
		return "", nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.now() < l.until {
		return "", errRefused
	}
	if !l.session {
		r.SetBasicAuth(l.user, l.password)
		return "", nil
	}
	if l.token == "" && public(r.URL.Path) {
		return "", nil // the service root can be read by everybody, and is before the login
	}
	if l.token == "" {
		if err := l.enter(r.Context(), c); err != nil {
			return "", err
		}
	}
	r.Header.Set("X-Auth-Token", l.token)
	return l.token, nil
}

// public reports whether a path needs no login, by the Redfish specification.
func public(path string) bool {
	p := strings.TrimSuffix(path, "/")
	return p == "/redfish/v1" || p == "/redfish"
}

// enter creates a session. The caller holds the lock.
func (l *login) enter(ctx context.Context, c *client) error {
	body, err := json.Marshal(map[string]string{"UserName": l.user, "Password": l.password})
	if err != nil {
		return fmt.Errorf("log in: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, l.timeout) // others wait for the lock
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base.JoinPath(sessions).String(), strings.NewReader(string(body)))
	if err != nil {
		return fmt.Errorf("log in: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := c.wire.RoundTrip(r) // without redirects: a password goes only where it was meant to
	if err != nil {
		return fmt.Errorf("log in: %w", err)
	}
	defer drop(resp)
	token := resp.Header.Get("X-Auth-Token")
	switch code := resp.StatusCode; {
	case code == http.StatusBadRequest, code == http.StatusUnauthorized, code == http.StatusForbidden:
		l.back()
		return errRefused
	case code >= 300:
		return fmt.Errorf("log in: %w", &statusError{code})
	case token == "":
		return errNoToken
	}
	if l.old != "" { // if only one document was refused, it would stay open, and a service has room for few
		_ = l.end(ctx, c, l.old) // most likely it had ended by itself
	}
	l.token, l.old, l.place = token, "", resp.Header.Get("Location")
	l.proved, l.pause = true, refusedFirst
	return nil
}

// accepted notes that the service let r in.
func (l *login) accepted(r *http.Request) {
	if l.user == "" || public(r.URL.Path) {
		return
	}
	l.mu.Lock()
	l.proved, l.pause = true, refusedFirst
	l.mu.Unlock()
}

// refused notes an answer 401 to a request with the token used, and reports whether another try makes sense: the session
// had ended. Of credentials that were good before, one refusal is about the document; the next says that they have changed.
func (l *login) refused(used string) (again bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.user == "":
		return false
	case used != "":
		if l.token == used {
			l.token, l.old = "", used
		}
		return true
	case l.proved:
		l.proved = false
	default:
		l.back()
	}
	return false
}

// back postpones the next try. The caller holds the lock.
func (l *login) back() {
	l.proved, l.token = false, ""
	l.until = l.now().Add(l.pause)
	l.pause = min(2*l.pause, refusedMost)
}

// leave ends the session.
func (l *login) leave(ctx context.Context, c *client) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.token == "" {
		return nil
	}
	token := l.token
	l.token = ""
	if err := l.end(ctx, c, token); err != nil {
		return fmt.Errorf("log out: %w", err)
	}
	return nil
}

// end ends the session of a token, at l.place. The caller holds the lock.
func (l *login) end(ctx context.Context, c *client, token string) error {
	u, err := c.base.Parse(l.place)
	if err == nil {
		err = c.own(u)
	}
	if err != nil || l.place == "" {
		return err
	}
	r := (&http.Request{Method: http.MethodDelete, URL: u, Host: u.Host, Header: http.Header{"X-Auth-Token": {token}}}).WithContext(ctx)
	resp, err := c.wire.RoundTrip(r)
	if err != nil {
		return err
	}
	defer drop(resp)
	if code := resp.StatusCode; code >= 400 && code != http.StatusUnauthorized && code != http.StatusNotFound {
		return &statusError{code}
	}
	return nil
}
