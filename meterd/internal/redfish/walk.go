package redfish

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/stmcginnis/gofish"
	"github.com/stmcginnis/gofish/schemas"

	"agentwatt/shared/power"
)

// Bounds on a discovery.
const (
	discoverFor = 5 * time.Minute // a BMC takes 50 ms to 1 s per document, and a PDU has a hundred
	mostMembers = 512             // of one collection
	mostPages   = 32              // of one collection
	mostMeters  = 2048
)

// layout is what a service offers, as one discovery saw it.
type layout struct {
	meters  []power.Meter
	docs    []*document // totals first
	totals  int         // of docs
	absent  []string
	events  string            // of the event stream; empty: none
	reports []string          // metric reports that are polled, where there is no event stream
	pushed  map[string]target // by the property, as metric reports name it
	rules   []Rule            // for the conformance report
	notes   []power.Note      // without their time
	denied  error             // something may not be read
	failed  error             // something did not answer: the layout may lack parts
}

// document is one resource that is polled.
type document struct {
	uri    string
	points []point
	total  bool
	poll   pollState
}

// walk finds the meters of one service. gofish fetches and follows; the types it decodes into are ours, because its own
// reject a whole resource for one property of a wrong type, such as the boolean PowerState of some power shelves.
type walk struct {
	layout
	ctx    context.Context // of this walk alone; gofish's client holds one too
	name   string
	parts  bool
	client *client
	api    *gofish.APIClient
	byURI  map[string]*document
	read   map[string]*resource   // documents seen in this walk
	ids    map[string]bool        // of the meters
	source map[string]string      // DataSourceUri to the ID of the meter that shows it
	owned  map[string]bool        // chassis whose total is metered as power equipment
	inner  map[string]power.Scope // chassis of power equipment that has no total of its own
}

// thing is any resource, as far as its identity and links matter here.
type thing struct {
	schemas.Entity

	Manufacturer, Model, SerialNumber, FirmwareVersion, ChassisType, DateTime, ServerSentEventUri text

	PowerEquipment, Chassis, Systems, EventService, Managers, TelemetryService schemas.Link // of the service root
	MetricReports                                                              schemas.Link
	RackPDUs, PowerShelves, FloorPDUs, ElectricalBuses                         schemas.Link // of the power equipment
	Metrics, Mains, Branches, Feeders, Outlets                                 schemas.Link
	EnvironmentMetrics, PowerSubsystem, Power, PowerSupplies                   schemas.Link
	Processors                                                                 schemas.Link

	Links struct {
		Chassis, ComputerSystems                links
		ContainedBy, PowerOutlet, SourceCircuit schemas.Link
	}
}

// links are references; anything else is none.
type links []schemas.Link

// UnmarshalJSON never fails.
func (l *links) UnmarshalJSON(b []byte) error {
	var list []schemas.Link
	if json.Unmarshal(b, &list) != nil {
		list = nil
	}
	*l = list
	return nil
}

// discover walks the service at c. An error means that the service as a whole cannot be used.
func discover(ctx context.Context, o Options, c *client) (*layout, error) {
	ctx, cancel := context.WithTimeout(ctx, discoverFor)
	defer cancel()
	api, err := gofish.ConnectContext(ctx, gofish.ClientConfig{
		Endpoint: c.base.String(), HTTPClient: c.http, ReuseConnections: true, NoModifyTransport: true,
	})
	if err != nil {
		return nil, fmt.Errorf("read the service root: %w", bare(err))
	}
	w := &walk{
		ctx: ctx, name: o.Name, parts: o.Parts > 0, client: c, api: api,
		byURI: map[string]*document{}, read: map[string]*resource{}, source: map[string]string{}, ids: map[string]bool{},
		owned: map[string]bool{}, inner: map[string]power.Scope{},
	}
	w.pushed = map[string]target{}
	root, err := w.get(schemas.DefaultServiceRoot)
	if err != nil {
		return nil, fmt.Errorf("read the service root: %w", err)
	}
	w.equipment(root.PowerEquipment)
	w.enclosures(root.Chassis)
	w.processors(root.Systems)
	w.services(root, o)
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("look through the service: %w", err)
	}
	slices.SortStableFunc(w.docs, func(a, b *document) int { return cmp.Compare(rank(a), rank(b)) })
	for _, d := range w.docs {
		w.totals += 1 - rank(d)
	}
	l := w.layout // and not the rest of the walk
	return &l, nil
}

func rank(d *document) int {
	if d.total {
		return 0
	}
	return 1
}

// services finds the event stream, and how far the managers' clocks are off.
func (w *walk) services(root *thing, o Options) {
	if root.EventService != "" && !o.NoPush {
		if es, err := w.get(root.EventService.String()); err == nil {
			w.events = string(es.ServerSentEventUri)
		}
	}
	if w.events == "" && !o.NoPush && root.TelemetryService != "" {
		w.telemetry(root.TelemetryService.String())
	}
	for _, uri := range w.members(root.Managers.String()) {
		before := o.Now()
		m, err := w.get(uri)
		if err != nil {
			continue
		}
		after := o.Now()
		if t, ok := parseTime(string(m.DateTime)); ok {
			ahead := t.Sub(before+(after-before)/2) + time.Second/2 // DateTime counts whole seconds
			w.note(w.name+"/"+short(uri), "manager_clock_skew_seconds", seconds(ahead))
		}
	}
}

// get fetches a resource through gofish.
func (w *walk) get(uri string) (*thing, error) {
	t, err := schemas.GetObject[thing](w.api, uri)
	if err != nil {
		return nil, w.excuse(uri, bare(err))
	}
	t.ODataID = uri // where it was found is where it is looked for again
	return t, nil
}

// things fetches all members of a collection. What cannot be fetched is absent, with the reason.
func (w *walk) things(collection schemas.Link) (list []*thing) {
	for _, uri := range w.members(collection.String()) {
		t, err := w.get(uri)
		if err != nil {
			w.lacks(uri, "%v", err)
			continue
		}
		list = append(list, t)
	}
	return list
}

// members lists the members of a collection in the order of their names, whatever order the service gives them in.
func (w *walk) members(uri string) (list []string) {
	for page, at := 0, uri; at != "" && page < mostPages; page++ {
		c, err := schemas.GetCollection(w.api, at)
		if err != nil {
			w.lacks(uri, "%v", w.excuse(uri, bare(err)))
			break
		}
		for _, m := range c.ItemLinks {
			if strings.HasPrefix(m, "/") && len(m) <= longestText && len(list) < mostMembers {
				list = append(list, m)
			}
		}
		at = c.MembersNextLink
	}
	slices.SortFunc(list, func(a, b string) int {
		return cmp.Or(len(a)-len(b), cmp.Compare(a, b)) // 2 before 10
	})
	return slices.Compact(list)
}

// document reads a document with values, once per walk.
func (w *walk) document(uri string) (*resource, error) {
	if uri == "" {
		return nil, errors.New("there is no link to it")
	}
	if r, ok := w.read[uri]; ok {
		return r, nil
	}
	body, err := fetchAll(w.ctx, w.client, uri)
	if err != nil {
		return nil, w.excuse(uri, err)
	}
	r, err := decode(body)
	if err != nil {
		return nil, err
	}
	w.read[uri] = r
	return r, nil
}

// excuse remembers an error that may be gone next time: then the layout is not complete.
func (w *walk) excuse(uri string, err error) error {
	because := fmt.Errorf("read %s: %w", uri, err)
	var s *statusError
	switch {
	case errors.Is(err, errForeign):
	case !errors.As(err, &s) || s.code >= 500 || s.code == http.StatusTooManyRequests:
		w.failed = cmp.Or(w.failed, because)
	case s.code == http.StatusUnauthorized || s.code == http.StatusForbidden:
		w.denied = cmp.Or(w.denied, because)
	}
	return err
}

// lacks notes what is not there, and why.
func (w *walk) lacks(uri, format string, args ...any) {
	w.absent = append(w.absent, short(uri)+": "+fmt.Sprintf(format, args...))
}

func (w *walk) note(device, key, value string) {
	w.notes = append(w.notes, power.Note{Device: device, Key: key, Value: value})
}
