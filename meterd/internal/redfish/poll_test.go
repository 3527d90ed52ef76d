package redfish

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"agentwatt/shared/power"
)

// An honest ETag saves the body, and the value is a reading all the same.
func TestETag(t *testing.T) {
	d := host(t)
	d.etags = "true"
	d.refresh = 3 * time.Second
	s := d.open(t)
	changes := map[int64]bool{}
	for range 50 {
		d.advance(time.Second)
		got := samples(t, s)
		x := got["Chassis/1/power"]
		if want := int64(load(d.sampled(x.Time.Time()))*1000 + 0.5); x.Status != power.OK || x.Raw != want {
			t.Fatalf("%+v, want %d", x, want)
		}
		changes[x.Raw] = true
	}
	if len(changes) < 8 {
		t.Errorf("%d different values in 50 s", len(changes))
	}
	d.with(func() {
		if d.notMod < 60 { // of 100 requests, two thirds see nothing new
			t.Errorf("%d answers were \"not modified\"", d.notMod)
		}
	})
}

// An ETag that never changes is found out: the value stands still for ten polls at most.
func TestAnETagThatLies(t *testing.T) {
	d := host(t)
	d.etags = "stuck"
	s := d.open(t)
	last, still := int64(0), 0
	for i := range 60 {
		d.advance(time.Second)
		v := read(t, s)["Chassis/1/power"]
		if still++; v != last {
			last, still = v, 0
		}
		if still > believe+1 || i > 20 && still > 1 {
			t.Fatalf("read %d: the value has stood still for %d reads", i, still)
		}
	}
	if got := notes(s, "etag"); len(got) != 2 || !strings.HasPrefix(got[0], "Chassis/1/Sensors/") {
		t.Errorf("noted as %q", got)
	}
}

// The parts of a whole take turns within their time; totals are read every time.
func TestPartsTakeTurns(t *testing.T) {
	d := ocp(t)
	s := d.open(t)
	d.with(func() {
		d.answer = func(_ http.ResponseWriter, r *http.Request) bool {
			if strings.Contains(r.URL.Path, "/Outlets/") || strings.Contains(r.URL.Path, "/Metrics") {
				time.Sleep(10 * time.Millisecond)
			}
			return false
		}
	})
	s.options.Parts = 3 * time.Millisecond
	seen := map[string]int{}
	for reads := 1; reads <= 100; reads++ {
		d.advance(time.Second)
		got := samples(t, s)
		if len(got) == len(s.Meters()) {
			t.Fatal("one read had time for everything")
		}
		for id := range got {
			seen[id]++
		}
		if seen["RackPDUs/1/power"] != reads {
			t.Fatalf("after %d reads: %v", reads, seen)
		}
		if len(seen) == len(s.Meters()) {
			return
		}
	}
	t.Errorf("in 100 reads only %v", seen)
}

// A device that is taken away for good is lost, and no longer a meter once the service was looked through again.
func TestASupplyIsTakenAway(t *testing.T) {
	shelf := "/Chassis/powershelf/PowerSubsystem"
	d := tree(t, append(append([]string{
		`/Chassis/powershelf {"PowerSubsystem": "->` + shelf + `"}`, shelf + ` {"PowerSupplies": "->` + shelf + `/PowerSupplies"}`,
	}, supply(shelf+"/PowerSupplies/0", 2000, 1950)...), supply(shelf+"/PowerSupplies/1", 2000, 1950)...)...)
	s := d.open(t)
	read(t, s)
	d.with(func() {
		delete(d.docs, "/redfish/v1"+shelf+"/PowerSupplies/1")
		delete(d.docs, "/redfish/v1"+shelf+"/PowerSupplies/1/Metrics")
	})
	d.advance(time.Second)
	if x := samples(t, s)["Chassis/powershelf/PowerSubsystem/PowerSupplies/1/input"]; x.Status != power.Lost || x.Raw != 0 {
		t.Errorf("%+v", x)
	}
	for range 200 {
		d.advance(time.Second)
		if got := read(t, s); len(s.Meters()) == 2 {
			if len(got) != 2 {
				t.Errorf("the other supply: %v", got)
			}
			return
		}
		time.Sleep(5 * time.Millisecond) // the search goes on beside the reads
	}
	t.Errorf("still %d meters", len(s.Meters()))
}

// A search during which something does not answer takes no meter away.
func TestASearchThatFails(t *testing.T) {
	shelf := "/Chassis/powershelf/PowerSubsystem"
	d := tree(t, append(append([]string{
		`/Chassis/powershelf {"PowerSubsystem": "->` + shelf + `"}`, shelf + ` {"PowerSupplies": "->` + shelf + `/PowerSupplies"}`,
	}, supply(shelf+"/PowerSupplies/0", 2000, 1950)...), supply(shelf+"/PowerSupplies/1", 2000, 1950)...)...)
	s := d.open(t)
	busy := "/redfish/v1" + shelf + "/PowerSupplies/1"
	d.with(func() {
		d.answer = func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasPrefix(r.URL.Path, busy) {
				w.WriteHeader(http.StatusInternalServerError)
			}
			return strings.HasPrefix(r.URL.Path, busy)
		}
	})
	s.search = true
	asked := func() (n int) { d.with(func() { n = d.gets["/redfish/v1"+shelf+"/PowerSupplies"] }); return n }
	before := asked()
	for i := 0; i < 1000 && asked() < before+2; i++ {
		d.advance(10 * time.Second)
		samples(t, s)
		time.Sleep(2 * time.Millisecond)
	}
	if n := len(s.Meters()); n != 4 || asked() < before+2 {
		t.Errorf("%d meters after %d searches", n, asked()-before)
	}
}

// A BMC that restarts is read again, and what changed meanwhile is found.
func TestARestartWithAnotherSupply(t *testing.T) {
	shelf := "/Chassis/powershelf/PowerSubsystem"
	d := tree(t, append([]string{
		`/Chassis/powershelf {"PowerSubsystem": "->` + shelf + `"}`, shelf + ` {"PowerSupplies": "->` + shelf + `/PowerSupplies"}`,
	}, supply(shelf+"/PowerSupplies/0", 2000, 1950)...)...)
	s := d.open(t)
	before := s.Meters()
	d.with(func() { d.down = true })
	d.advance(2 * time.Minute)
	for id, x := range samples(t, s) {
		if x.Status != power.Lost {
			t.Errorf("%s: %v", id, x.Status)
		}
	}
	asked := 0
	d.with(func() { asked = d.gets["/redfish/v1"+shelf+"/PowerSupplies/0/Metrics"] })
	for range 60 {
		d.advance(time.Second)
		samples(t, s)
	}
	d.with(func() {
		if n := d.gets["/redfish/v1"+shelf+"/PowerSupplies/0/Metrics"] - asked; n < 3 || n > 8 {
			t.Errorf("a lost service was asked %d times in a minute", n)
		}
		d.down = false
	})
	more := tree(t, supply(shelf+"/PowerSupplies/1", 1000, 950)...)
	d.with(func() {
		for uri, doc := range more.docs {
			if strings.Contains(uri, "PowerSupplies/1") {
				d.docs[uri] = doc
			}
		}
	})
	for range 200 {
		d.advance(time.Second)
		if got := read(t, s); got["Chassis/powershelf/PowerSubsystem/PowerSupplies/1/input"] == 1_000_000 {
			if len(before) != 2 || len(s.Meters()) != 4 {
				t.Errorf("%d meters before, %d after", len(before), len(s.Meters()))
			}
			return
		}
		time.Sleep(5 * time.Millisecond) // the search goes on beside the reads
	}
	t.Error("the new supply was not found")
}
