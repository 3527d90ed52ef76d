package snmp

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"agentwatt/shared/settings"
)

//go:embed profiles/*.yaml
var files embed.FS

// Bounds of profiles that a user adds.
const (
	mostProfileBytes = 1 << 20
	mostProfileFiles = 256
)

// Builtin returns the profiles that come with the program, in the order of their files.
var Builtin = sync.OnceValue(func() []*Profile {
	list, err := readFolder(files, "profiles", "profiles")
	if err != nil {
		panic(err) // the files are part of the program, and a test parses them
	}
	return list
})

// ParseProfiles reads one file: a list of profiles under the key profiles. name is the file's, for errors.
func ParseProfiles(data []byte, name string) ([]*Profile, error) {
	if len(data) > mostProfileBytes {
		return nil, fmt.Errorf("%s: longer than %d bytes", name, mostProfileBytes)
	}
	var file struct {
		Profiles []*Profile `yaml:"profiles"`
	}
	if err := settings.Decode(data, name, &file); err != nil {
		return nil, err
	}
	if len(file.Profiles) == 0 || slices.Contains(file.Profiles, nil) {
		return nil, fmt.Errorf("%s:1:1: no profile under the key profiles", name)
	}
	return file.Profiles, nil
}

// LoadProfiles reads the user's files and folders. A folder's *.yaml files are read in order of their names.
func LoadProfiles(paths []string) ([]*Profile, error) {
	var all []*Profile
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("read a PDU profile: %w", err)
		}
		var list []*Profile
		if info.IsDir() {
			list, err = readFolder(os.DirFS(path), ".", path)
		} else {
			list, err = readFile(os.DirFS(filepath.Dir(path)), filepath.Base(path), path)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	seen := map[string]bool{}
	for _, p := range all {
		if seen[p.Name] {
			return nil, fmt.Errorf("read the PDU profiles: two are called %q", p.Name)
		}
		seen[p.Name] = true
	}
	return all, nil
}

func readFolder(fsys fs.FS, folder, shown string) ([]*Profile, error) {
	entries, err := fs.ReadDir(fsys, folder)
	if err != nil {
		return nil, fmt.Errorf("read PDU profiles: %w", err)
	}
	var all []*Profile
	n := 0
	for _, e := range entries {
		if e.IsDir() || !strings.HasSuffix(e.Name(), ".yaml") {
			continue
		}
		if n++; n > mostProfileFiles {
			return nil, fmt.Errorf("read PDU profiles: more than %d files in %s", mostProfileFiles, shown)
		}
		list, err := readFile(fsys, joined(folder, e.Name()), joined(shown, e.Name()))
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("read PDU profiles: no *.yaml file in %s", shown)
	}
	return all, nil
}

func joined(folder, name string) string {
	if folder == "." {
		return name
	}
	return strings.TrimSuffix(folder, "/") + "/" + name
}

func readFile(fsys fs.FS, name, shown string) ([]*Profile, error) {
	info, err := fs.Stat(fsys, name)
	if err == nil && info.Size() > mostProfileBytes {
		err = errors.New("too long")
	}
	if err != nil {
		return nil, fmt.Errorf("read the PDU profile %s: %w", shown, err)
	}
	data, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, fmt.Errorf("read the PDU profile %s: %w", shown, err)
	}
	return ParseProfiles(data, shown)
}
