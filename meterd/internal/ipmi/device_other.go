//go:build !linux

package ipmi

import "errors"

func openDevice(string) (link, error) {
	return nil, errors.New("in band, IPMI is read on Linux only")
}
