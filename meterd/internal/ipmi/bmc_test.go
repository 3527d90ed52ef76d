package ipmi

import (
	"context"
	"encoding/binary"
	"math"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/bougou/go-ipmi/pkg/bmc"
	"github.com/bougou/go-ipmi/pkg/hal/mock"
	"github.com/bougou/go-ipmi/pkg/handlers"
	"github.com/bougou/go-ipmi/pkg/server"
	"github.com/bougou/go-ipmi/pkg/transport/udp"
	"github.com/bougou/go-ipmi/pkg/types"
)

const (
	testUser     = "meter"
	testPassword = "s3cret-of-the-BMC"
)

var testGUID = [16]byte{0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f}

// node is a server with a BMC: go-ipmi's implementation of one, on a UDP port of this host. Its power follows a waveform in
// a time of its own; the BMC takes a new value every second, and its statistics are integrals of the power since reset.
type node struct {
	t        testing.TB
	port     int
	password string
	suites   []types.CipherSuiteID
	level    bmc.PrivilegeLevel // of the user
	needs    bmc.PrivilegeLevel // for DCMI
	raised   bmc.PrivilegeLevel // of the session, since it asked for more than User
	guid     [16]byte
	stop     func()

	mu       sync.Mutex
	wave     func(second int) float64 // watts
	second   int                      // since the BMC was reset
	inactive bool                     // the state bit lies
	on       bool                     // the host
	replies  map[types.NetFn]reply    // that come instead, per group of commands
	busy     int                      // answers of "busy" to come
	asked    int                      // power readings that were asked for
	records  [][]byte                 // sensor records
	sensors  map[byte][2]byte         // reading and flags, by sensor number
}

type reply func(cmd byte, data []byte) ([]byte, types.CompletionCode)

// sine is a load between 150 W and 450 W.
func sine(second int) float64 { return 300 + 150*math.Sin(float64(second)/10) }

func constant(watts float64) func(int) float64 { return func(int) float64 { return watts } }

func newNode(t testing.TB, change ...func(*node)) *node {
	t.Helper()
	n := &node{t: t, password: testPassword, level: bmc.PrivilegeLevelUser, guid: testGUID, wave: sine, second: 7, on: true, replies: map[types.NetFn]reply{}, sensors: map[byte][2]byte{}}
	for _, c := range change {
		c(n)
	}
	n.start()
	t.Cleanup(func() { n.stop() })
	return n
}

// start boots the BMC. It remembers no session.
func (n *node) start() {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: n.port})
	if err != nil {
		n.t.Fatal(err)
	}
	n.port = conn.LocalAddr().(*net.UDPAddr).Port
	hal := mock.New()
	store := hal.Storage().SDR()
	for i, r := range n.records {
		r = slices.Clone(r)
		binary.LittleEndian.PutUint16(r, uint16(i+1))
		if err := store.Write(context.Background(), uint16(i+1), r); err != nil {
			n.t.Fatal(err)
		}
	}
	info := bmc.DeviceInfo{DeviceID: 32, FirmwareMajor: 6, FirmwareMinor: 0x10, IPMIVersion: 0x20, ManufacturerID: 674, ProductID: 256}
	b := bmc.New(info, n.guid, hal)
	if n.suites != nil {
		b.SetCipherSuites(n.suites)
	}
	user, err := b.Users.Add(2, testUser)
	if err != nil {
		n.t.Fatal(err)
	}
	user.SetPassword([]byte(n.password))
	user.Enabled = true
	user.ChannelAccess[1] = bmc.UserChannelAccess{MaxPrivilege: n.level, Enabled: true}
	s := server.NewServer(b, udp.Wrap(conn), server.WithHandlerRegistry(n.registry()))
	var done sync.WaitGroup
	done.Go(func() { s.Serve(context.Background()) })
	n.stop = sync.OnceFunc(func() { s.Close(); done.Wait() })
}

func (n *node) registry() *handlers.Registry {
	reg := handlers.NewRegistry()
	handlers.RegisterAllHandlers(reg)
	for _, c := range []struct {
		command types.Command
		answer  func([]byte) ([]byte, types.CompletionCode)
	}{
		{types.CommandGetDCMIPowerReading, n.reading},
		{types.CommandGetDCMICapParam, n.capabilities},
		{types.CommandGetSensorReading, n.sensor},
		{types.CommandGetChassisStatus, n.chassis},
		{types.CommandSetSessionPrivilegeLevel, n.raise}, // go-ipmi's sessions begin with the most, a BMC's with User
	} {
		reg.RegisterFunc(c.command, func(_ context.Context, _ *handlers.HandlerContext, data []byte) ([]byte, types.CompletionCode, error) {
			n.mu.Lock()
			defer n.mu.Unlock()
			if r := n.replies[c.command.NetFn]; r != nil {
				b, code := r(c.command.ID, data)
				return b, code, nil
			}
			if c.command.NetFn == netFnGroup && max(n.raised, bmc.PrivilegeLevelUser) < n.needs {
				return nil, types.CompletionCode(codePrivilege), nil
			}
			b, code := c.answer(data)
			return b, code, nil
		})
	}
	return reg
}

// reading answers Get Power Reading.
func (n *node) reading([]byte) ([]byte, types.CompletionCode) {
	if n.asked++; n.busy > 0 {
		n.busy--
		return nil, types.CodeNodeBusy
	}
	energy, least, most := 0.0, math.Inf(1), 0.0
	for i := range n.second + 1 {
		energy, least, most = energy+n.wave(i), min(least, n.wave(i)), max(most, n.wave(i))
	}
	b := []byte{groupDCMI}
	for _, watts := range []float64{n.wave(n.second), least, most, energy / float64(n.second+1)} {
		b = binary.LittleEndian.AppendUint16(b, uint16(watts))
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(1_790_000_000+n.second))
	b = binary.LittleEndian.AppendUint32(b, uint32(n.second*1000))
	state := byte(0x40)
	if n.inactive {
		state = 0
	}
	return append(b, state), types.CodeOK
}

func (n *node) capabilities(data []byte) ([]byte, types.CompletionCode) {
	head := []byte{groupDCMI, 1, 5, 2}
	switch {
	case len(data) == 2 && data[1] == 1:
		return append(head, 0, 1, 7), types.CodeOK
	case len(data) == 2 && data[1] == 5:
		return append(head, 3, 5, 30, 1<<6|2), types.CodeOK
	}
	return nil, types.CodeParameterOutOfRange
}

func (n *node) sensor(data []byte) ([]byte, types.CompletionCode) {
	v, ok := n.sensors[data[0]]
	if !ok {
		return nil, types.CompletionCode(codeAbsent)
	}
	return []byte{v[0], v[1], 0xc0}, types.CodeOK
}

func (n *node) raise(data []byte) ([]byte, types.CompletionCode) {
	if n.raised = bmc.PrivilegeLevel(data[0]); n.raised > n.level {
		return nil, types.CodeInsufficientPrivilege
	}
	return data[:1], types.CodeOK
}

func (n *node) chassis([]byte) ([]byte, types.CompletionCode) {
	if n.on {
		return []byte{1, 0, 0}, types.CodeOK
	}
	return []byte{0, 0, 0}, types.CodeOK
}

// set changes the node while it runs.
func (n *node) set(change func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change()
}

// deny makes the BMC answer a group of commands with a completion code; 0 ends that.
func (n *node) deny(group types.NetFn, c code) {
	n.set(func() {
		n.replies[group] = func(byte, []byte) ([]byte, types.CompletionCode) { return nil, types.CompletionCode(c) }
		if c == 0 {
			delete(n.replies, group)
		}
	})
}

func (n *node) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(n.port)) }

func (n *node) options() Options {
	return Options{Address: n.address(), User: testUser, Password: n.password, Timeout: 400 * time.Millisecond}
}

// open opens the BMC, and closes it when the test ends.
func (n *node) open(change ...func(*Options)) *Source {
	n.t.Helper()
	o := n.options()
	for _, c := range change {
		c(&o)
	}
	s, err := Open(context.Background(), o)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { s.Close() })
	return s
}

// record makes a full sensor record in watts.
func record(number byte, name string, f factors, change ...func([]byte)) []byte {
	b := make([]byte, 48, 64)
	b[2], b[3] = 0x51, recordFull
	b[5], b[7], b[8], b[9] = ownerBMC, number, 7, 1
	b[12], b[13], b[20], b[21] = 0x0b, thresholdType, f.format<<6, unitWatts
	b[24], b[25] = byte(f.m), byte(f.m>>8&3)<<6
	b[26], b[27] = byte(f.b), byte(f.b>>8&3)<<6
	b[29] = byte(f.result&0xf)<<4 | byte(f.offset&0xf)
	b[47] = 0xc0 | byte(len(name))
	b = append(b, name...)
	b[4] = byte(len(b) - recordHeader)
	for _, c := range change {
		c(b)
	}
	return b
}

// secretFile writes text where only this user can read it.
func secretFile(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
