package driver

import (
	"os"
	"slices"
	"strings"
	"time"
)

// Session is what a client has read of the driver before it asks or changes something. Its changes are kept by Save.
type Session struct {
	Version string // of the loaded module
	Branch  int
	Faults  Faults
	Devices []Device // those that this process may see
	state   *State
	infoROM map[string]bool
	unlock  func()
}

// Open begins a session, or refuses: NotLoaded, LibraryMismatch. One that is to change something has the driver for
// itself until it is closed. `call` is what the client was asked for, which a fault may let hang; "" never hangs.
func Open(call string, change bool) (*Session, error) {
	faults, err := readFaults()
	if err != nil {
		return nil, err
	}
	if faults.Hang != "" && strings.Contains(call, faults.Hang) {
		time.Sleep(1<<63 - 1)
	}
	version, err := LoadedVersion()
	if err != nil {
		return nil, err
	}
	if version == "" {
		return nil, NotLoaded
	}
	if different, err := mismatch(version, faults); err != nil {
		return nil, err
	} else if different {
		return nil, LibraryMismatch
	}
	session := &Session{Version: version, Branch: branchOf(version), Faults: faults, unlock: func() {}}
	if change && Privileged() {
		if session.unlock, err = lock(); err != nil {
			return nil, err
		}
	}
	if err := session.read(); err != nil {
		session.unlock()
		return nil, err
	}
	return session, nil
}

func (s *Session) read() (err error) {
	if s.state, err = readState(); err != nil {
		return err
	}
	if s.infoROM, err = readInfoROM(); err != nil {
		return err
	}
	s.Devices, err = readDevices(s.state, s.infoROM)
	return err
}

// Close lets others change the driver. What was not saved is lost.
func (s *Session) Close() { s.unlock() }

// Save keeps the changes. Who may not change anything has none.
func (s *Session) Save() error {
	if !Privileged() {
		return nil
	}
	gpus, err := ReadGPUs()
	if err != nil {
		return err
	}
	return s.state.write(gpus)
}

// SetPersistence is nvidia-smi's -pm: until the driver is loaded anew.
func (s *Session) SetPersistence(device Device, on bool) error {
	if !Privileged() {
		return InsufficientPermissions
	}
	device.State.Persistence = &on
	return nil
}

// CUDA is the newest version of CUDA that the loaded driver serves, such as 13.0.
func (s *Session) CUDA() string { return catalogue.CUDA[s.Branch] }

// Lost tells whether a GPU has fallen off the bus.
func (s *Session) Lost(device Device) bool {
	return slices.Contains(s.Faults.OffTheBus, device.GPU.Index)
}

// Privileged tells whether this process may change MIG instances and list them: root, with the capability to do so.
// GPU_PRIVILEGED=0 or 1 is in root's place, for tests that are not root or must not be.
func Privileged() bool {
	if Confined() {
		return false
	}
	switch os.Getenv("GPU_PRIVILEGED") {
	case "0":
		return false
	case "1":
		return true
	}
	return os.Geteuid() == 0
}
