//go:build linux && cgo

package nvml

import (
	"testing"
	"time"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/meterd/internal/sourcetest"
	"agentwatt/shared/clock"
)

func TestConformance(t *testing.T) {
	tests := []struct {
		name string
		env  []string
	}{
		{"H100", []string{"DEVICES", "3", "WAVE", "square 120 680 0.73"}},
		{"GB200", []string{"DEVICES", "4", "WAVE", "square 120 680 0.73", "MODULE", "2", "MEMORY", "1", "CAPABILITY", "10.0"}},
		{"old driver", []string{"DEVICES", "3", "DRIVER", "old", "CAPABILITY", "8.0"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var s *stub // the one that Open returned last
			c := sourcetest.Case{
				Open: func(t *testing.T) sampler.Source {
					var err error
					if s, err = tryStub(t, test.env...); err != nil {
						t.Fatal(err)
					}
					return s
				},
				Now:     func() clock.Stamp { return s.time() },
				Advance: func(t *testing.T, d time.Duration) { s.advance(d) },
				Hide:    func(*testing.T) { s.control("unsupported 185\n") },
				Lose:    func(*testing.T) { s.control("lost 1\n") },
				Restore: func(*testing.T) { s.control("\n") },
				Reset:   func(*testing.T) { s.control("reset 2 990\n") },
				Steps:   60, // a lost GPU is looked for every 5 s
			}
			if test.name == "old driver" {
				c.Hide = nil     // its functions cannot hide
				c.Allocs = 2 * 3 // go-nvml allocates the result of each function
			}
			sourcetest.Run(t, c)
		})
	}
}
