package ipmi

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"agentwatt/meterd/internal/sourcetest"
	"agentwatt/shared/power"
)

// driver stands in for the kernel's driver, below the system calls: it takes the structures of linux/ipmi.h apart as the
// kernel does, and holds received messages in a socket, so that waiting for one is the real thing.
type driver struct {
	t     *testing.T
	inner *os.File // the socket's other end; what is written here can be received
	mu    sync.Mutex
	bmc   func(netFn, cmd byte, data []byte) []byte // answers; nil: no answer
}

func newDriver(t *testing.T) (*driver, *device) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	k := &driver{t: t, inner: os.NewFile(uintptr(pair[1]), "kernel")}
	d, err := newDevice(os.NewFile(uintptr(pair[0]), "ipmi0"), k.ioctl)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.close(true); k.inner.Close() })
	return k, d
}

// queue puts a message where the device finds it: kind, ID, then the answer.
func (k *driver) queue(kind int32, id int, body []byte) {
	b := binary.NativeEndian.AppendUint32(nil, uint32(kind))
	b = binary.NativeEndian.AppendUint64(b, uint64(id))
	if _, err := k.inner.Write(append(b, body...)); err != nil {
		k.t.Error(err)
	}
}

func (k *driver) ioctl(fd, op uintptr, arg unsafe.Pointer) error {
	switch op {
	case sendCommand:
		return k.send((*ipmiReq)(arg))
	case receiveMessage:
		return receiveInto(fd, (*ipmiRecv)(arg))
	}
	return unix.ENOTTY // above all IPMICTL_SET_GETS_EVENTS_CMD, which takes the BMC's events away from others
}

func (k *driver) send(req *ipmiReq) error {
	if req.addrLen != 8 || req.addr.kind != 0x0c || req.addr.channel != 0x0f {
		return unix.EINVAL
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if b := k.bmc(req.msg.netFn, req.msg.cmd, unsafe.Slice(req.msg.data, req.msg.len)); b != nil {
		k.queue(receivedResponse, req.id, b)
	}
	return nil
}

func receiveInto(fd uintptr, recv *ipmiRecv) error {
	buf := make([]byte, 2*mostMessage)
	n, _, err := unix.Recvfrom(int(fd), buf, unix.MSG_DONTWAIT)
	if err != nil {
		return err
	}
	recv.kind = int32(binary.NativeEndian.Uint32(buf))
	recv.id = int(binary.NativeEndian.Uint64(buf[4:]))
	recv.msg.len = uint16(copy(unsafe.Slice(recv.msg.data, recv.msg.len), buf[12:n]))
	return nil
}

func (k *driver) answer(bmc func(netFn, cmd byte, data []byte) []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.bmc = bmc
}

func dcmiOnly(t *testing.T, text string) func(byte, byte, []byte) []byte {
	f := bytesOf(t, text)
	return func(netFn, cmd byte, data []byte) []byte {
		if netFn == netFnGroup && cmd == cmdPowerReading && len(data) == 4 && data[0] == groupDCMI && data[1] == 1 {
			return f
		}
		return []byte{byte(codeInvalid)}
	}
}

func TestDevice(t *testing.T) {
	k, d := newDriver(t)
	k.answer(dcmiOnly(t, frameNormal))
	k.queue(2, 0, []byte{0, 1, 2})              // an event
	k.queue(receivedResponse, 99, []byte{0xff}) // the answer to somebody who gave up
	k.queue(2, 1, []byte{0xff})                 // an event with the ID of our message
	for range 3 {
		f, err := d.call(t.Context(), askPower)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := parsePower(f); got.watts != 215 || err != nil {
			t.Errorf("got %+v, %v from % x", got, err, f)
		}
	}
	if f, err := d.call(t.Context(), request{netFn: netFnApp, cmd: cmdDeviceID}); err != nil || len(f) != 1 || f[0] != byte(codeInvalid) {
		t.Errorf("without data: % x, %v", f, err)
	}
}

// A BMC that takes its time is waited for; the answer that comes too late is not taken for the next one.
func TestDeviceWaits(t *testing.T) {
	k, d := newDriver(t)
	k.answer(func(byte, byte, []byte) []byte { return nil })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := d.call(ctx, askPower); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("no answer: %v", err)
	}
	late := d.id
	k.answer(func(byte, byte, []byte) []byte {
		id := late + 1
		k.queue(receivedResponse, late, bytesOf(t, frameOpenBMC))
		time.AfterFunc(20*time.Millisecond, func() { k.queue(receivedResponse, id, bytesOf(t, frameNormal)) })
		return nil
	})
	f, err := d.call(t.Context(), askPower)
	if got, _ := parsePower(f); got.watts != 215 || err != nil {
		t.Errorf("got %+v, %v, want the second answer", got, err)
	}
	cancelled, stop := context.WithCancel(t.Context())
	stop()
	if _, err := d.call(cancelled, askPower); err == nil {
		t.Error("a cancelled call has an answer")
	}
	d.close(true)
	if _, err := d.call(t.Context(), askPower); err == nil {
		t.Error("a closed device has an answer")
	}
}

// inBand opens a source on a driver.
func inBand(t *testing.T, bmc func(netFn, cmd byte, data []byte) []byte) *Source {
	t.Helper()
	k, d := newDriver(t)
	k.answer(func(netFn, cmd byte, data []byte) []byte {
		if netFn == netFnApp && cmd == cmdDeviceID {
			return bytesOf(t, "00 20 01 06 10 02 bf a2 02 00 00 01 00 00 00 00")
		}
		return bmc(netFn, cmd, data)
	})
	o, err := Options{Name: "here", Timeout: 100 * time.Millisecond}.complete()
	if err != nil {
		t.Fatal(err)
	}
	s := &Source{o: o, link: d}
	if err := s.discover(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// A whole source in band.
func TestInBand(t *testing.T) {
	s := inBand(t, dcmiOnly(t, frameNormal))
	got, meters := read(t, s)
	if len(meters) != 1 || meters[0].ID != "ipmi/here/dcmi" || got[0].Raw != 215 || got[0].Status != power.OK {
		t.Errorf("meters %+v, samples %+v", meters, got)
	}
}

// One sensor that the BMC never answers for costs no other meter its values, except in the read that finds out.
func TestOneMuteSensor(t *testing.T) {
	records := &store{most: 255}
	for i, name := range []string{"Sys Power", "CPU1 Power", "CPU2 Power", "DIMM Power"} {
		records.records = append(records.records, record(byte(i+1), name, factors{m: 4}))
	}
	s := inBand(t, func(netFn, cmd byte, data []byte) []byte {
		switch {
		case netFn == netFnStorage:
			f, _ := records.ask(t.Context(), request{netFn: netFn, cmd: cmd, data: data})
			return f
		case netFn != netFnSensor:
			return []byte{byte(codeInvalid)}
		case data[0] == 2:
			return nil
		}
		return []byte{0, 50, 0xc0}
	})
	want := []power.Status{power.OK, power.Failed, power.Failed, power.Failed}
	for range 4 {
		if diff := cmp.Diff(want, statuses(t, s)); diff != "" {
			t.Errorf("statuses (-want +got):\n%s", diff)
		}
		want = []power.Status{power.OK, power.Failed, power.OK, power.OK}
	}
}

// The structures and numbers are those of the C compiler and the kernel's header.
func TestDeviceABI(t *testing.T) {
	gcc := sourcetest.Tool(t, "gcc")
	dir := t.TempDir()
	const program = `#include <stdio.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <linux/ipmi.h>
int main(void) {
	printf("%lu %lu %zu %zu %zu %zu %zu %zu %zu %d %d\n", (unsigned long)IPMICTL_SEND_COMMAND, (unsigned long)IPMICTL_RECEIVE_MSG_TRUNC,
		sizeof(struct ipmi_system_interface_addr), sizeof(struct ipmi_addr), offsetof(struct ipmi_req, msgid), offsetof(struct ipmi_req, msg),
		offsetof(struct ipmi_recv, msgid), offsetof(struct ipmi_recv, msg), offsetof(struct ipmi_msg, data),
		IPMI_RESPONSE_RECV_TYPE, IPMI_MAX_MSG_LENGTH);
	return 0;
}`
	source, binary := filepath.Join(dir, "abi.c"), filepath.Join(dir, "abi")
	if err := os.WriteFile(source, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(gcc, "-o", binary, source).CombinedOutput(); err != nil {
		if strings.Contains(string(out), "linux/ipmi.h") {
			t.Skipf("SKIPPED: the kernel's headers are not installed: %s", out)
		}
		t.Fatalf("%v\n%s", err, out)
	}
	want := output(t, binary)
	var req ipmiReq
	var recv ipmiRecv
	got := fmt.Sprintf("%d %d %d %d %d %d %d %d %d %d %d\n", uintptr(sendCommand), uintptr(receiveMessage),
		unsafe.Sizeof(ipmiAddr{}), unsafe.Sizeof([5]ipmiAddr{}), unsafe.Offsetof(req.id), unsafe.Offsetof(req.msg),
		unsafe.Offsetof(recv.id), unsafe.Offsetof(recv.msg), unsafe.Offsetof(req.msg.data), receivedResponse, mostMessage)
	if got != want {
		t.Errorf("got  %swant %s", got, want)
	}
}
