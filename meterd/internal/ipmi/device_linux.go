package ipmi

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// device is a link in band: the kernel's driver, linux/ipmi.h. Only commands are sent and their answers received. It
// does not subscribe to events (IPMICTL_SET_GETS_EVENTS_CMD): each event is given to one reader only, and the one that logs
// them would miss it. Other programs may use the device at the same time; answers are told apart by message ID.
type device struct {
	file  *os.File
	raw   syscall.RawConn
	ioctl func(fd, op uintptr, arg unsafe.Pointer) error // the system call; a test's own in tests
	id    int                                            // of the last message
}

// Numbers of linux/ipmi.h.
const (
	systemInterface  = 0x0c // address type: the BMC itself
	bmcChannel       = 0x0f
	receivedResponse = 1
	mostMessage      = 272 // IPMI_MAX_MSG_LENGTH
)

// The structures of linux/ipmi.h: system interface address, message, request, received message. A C long is a Go int.
type (
	ipmiAddr struct {
		kind    int32
		channel int16
		lun     uint8
	}
	ipmiMsg struct {
		netFn, cmd uint8
		len        uint16
		data       *byte
	}
	ipmiReq struct {
		addr    *ipmiAddr
		addrLen uint32
		id      int
		msg     ipmiMsg
	}
	ipmiRecv struct {
		kind    int32
		addr    *ipmiAddr
		addrLen uint32
		id      int
		msg     ipmiMsg
	}
)

// The two ioctls in use: _IOR('i', 13, struct ipmi_req) and _IOWR('i', 11, struct ipmi_recv).
const (
	sendCommand    = 2<<30 | unsafe.Sizeof(ipmiReq{})<<16 | 'i'<<8 | 13
	receiveMessage = 3<<30 | unsafe.Sizeof(ipmiRecv{})<<16 | 'i'<<8 | 11
)

func openDevice(path string) (link, error) {
	f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	d, err := newDevice(f, func(fd, op uintptr, arg unsafe.Pointer) error {
		if _, _, e := unix.Syscall(unix.SYS_IOCTL, fd, op, uintptr(arg)); e != 0 {
			return e
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s is not an IPMI device: %w", path, err), f.Close())
	}
	return d, nil
}

func newDevice(f *os.File, ioctl func(fd, op uintptr, arg unsafe.Pointer) error) (*device, error) {
	if err := f.SetReadDeadline(time.Time{}); err != nil { // an ordinary file cannot be waited for
		return nil, err
	}
	raw, err := f.SyscallConn()
	return &device{file: f, raw: raw, ioctl: ioctl}, err
}

func (*device) guid() string { return "" }

func (*device) cipher() int { return 0 }

func (d *device) close(bool) { d.file.Close() }

func (d *device) call(ctx context.Context, r request) (frame, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d.id++
	if err := d.send(r); err != nil {
		return nil, fmt.Errorf("send to the BMC: %w", err)
	}
	if err := d.file.SetReadDeadline(time.Time{}); err != nil {
		return nil, err
	}
	release := interrupt(ctx, d.file)
	defer release()
	var got frame
	var failed error
	err := d.raw.Read(func(fd uintptr) bool {
		got, failed = d.receive(ctx, fd)
		return got != nil || failed != nil
	})
	if err := errors.Join(err, failed); err != nil {
		return nil, fmt.Errorf("wait for the BMC's answer: %w", err)
	}
	return got, nil
}

func (d *device) send(r request) error {
	data := append([]byte{}, r.data...)
	data = append(data, 0) // so that there is a first byte to point at
	addr := &ipmiAddr{kind: systemInterface, channel: bmcChannel, lun: r.lun}
	req := &ipmiReq{addr: addr, addrLen: uint32(unsafe.Sizeof(*addr)), id: d.id,
		msg: ipmiMsg{netFn: r.netFn, cmd: r.cmd, len: uint16(len(r.data)), data: &data[0]}}
	var failed error
	err := d.raw.Control(func(fd uintptr) { failed = d.ioctl(fd, sendCommand, unsafe.Pointer(req)) })
	runtime.KeepAlive(req)
	return errors.Join(err, failed)
}

// receive takes messages from the driver until one answers the last request. It returns neither an answer nor an error
// when there is none yet.
func (d *device) receive(ctx context.Context, fd uintptr) (frame, error) {
	for ctx.Err() == nil {
		data := make([]byte, mostMessage)
		// Other kinds of addresses are longer than ours: room for any of them, struct ipmi_addr is 40 bytes.
		addr := &[5]ipmiAddr{}
		recv := &ipmiRecv{addr: &addr[0], addrLen: uint32(unsafe.Sizeof(*addr)), msg: ipmiMsg{len: mostMessage, data: &data[0]}}
		err := d.ioctl(fd, receiveMessage, unsafe.Pointer(recv))
		runtime.KeepAlive(recv)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil, nil
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return nil, err
		case recv.kind == receivedResponse && recv.id == d.id:
			return data[:min(int(recv.msg.len), len(data))], nil
		}
	}
	return nil, ctx.Err()
}
