package power

import "fmt"

var (
	quantityNames = [...]string{"unknown", Counter: "counter", Instant: "instant", Mean: "mean", Held: "held"}
	originNames   = [...]string{Unknown: "unknown", Assumed: "assumed", Specification: "specification",
		Publication: "publication", Measured: "measured"}
	statusNames = [...]string{OK: "ok", Failed: "failed", Unsupported: "unsupported", Lost: "lost", Denied: "denied"}
)

// String returns the quantity's name, e.g. "counter".
func (q Quantity) String() string { return name("quantity", quantityNames[:], q) }

// MarshalText writes the quantity's name. It fails for a value that has none.
func (q Quantity) MarshalText() ([]byte, error) { return marshal("quantity", quantityNames[:], q) }

// UnmarshalText reads what MarshalText wrote.
func (q *Quantity) UnmarshalText(b []byte) error {
	return unmarshal("quantity", quantityNames[:], b, q)
}

// String returns the origin's name, e.g. "publication".
func (o Origin) String() string { return name("origin", originNames[:], o) }

// MarshalText writes the origin's name. It fails for a value that has none.
func (o Origin) MarshalText() ([]byte, error) { return marshal("origin", originNames[:], o) }

// UnmarshalText reads what MarshalText wrote.
func (o *Origin) UnmarshalText(b []byte) error { return unmarshal("origin", originNames[:], b, o) }

// String returns the status's name, e.g. "ok".
func (s Status) String() string { return name("status", statusNames[:], s) }

// MarshalText writes the status's name. It fails for a value that has none.
func (s Status) MarshalText() ([]byte, error) { return marshal("status", statusNames[:], s) }

// UnmarshalText reads what MarshalText wrote.
func (s *Status) UnmarshalText(b []byte) error { return unmarshal("status", statusNames[:], b, s) }

func name[T ~uint8](kind string, names []string, v T) string {
	if int(v) >= len(names) {
		return fmt.Sprintf("%s(%d)", kind, v)
	}
	return names[v]
}

func marshal[T ~uint8](kind string, names []string, v T) ([]byte, error) {
	if int(v) >= len(names) {
		return nil, fmt.Errorf("write %s: %d has no name", kind, v)
	}
	return []byte(names[v]), nil
}

func unmarshal[T ~uint8](kind string, names []string, b []byte, v *T) error {
	for i, n := range names {
		if n == string(b) {
			*v = T(i)
			return nil
		}
	}
	return fmt.Errorf("read %s: %q is not one of %q", kind, b, names)
}
