package esx

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"sync"
	"time"
)

// digests remembers the digests of files, which are asked for more often than
// the files change.
type digests struct {
	mu    sync.Mutex
	known map[string]digest
}

type digest struct {
	size     int64
	modified time.Time
	sum      string
}

func newDigests() *digests { return &digests{known: map[string]digest{}} }

func (d *digests) put(file, sum string) {
	info, err := os.Stat(file)
	if err != nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.known[file] = digest{info.Size(), info.ModTime(), sum}
}

// of gives a file's size and SHA-256; zero and empty for one that is not there.
func (d *digests) of(file string) (int64, string) {
	info, err := os.Stat(file)
	if err != nil {
		return 0, ""
	}
	d.mu.Lock()
	k, ok := d.known[file]
	d.mu.Unlock()
	if ok && k.size == info.Size() && k.modified.Equal(info.ModTime()) {
		return k.size, k.sum
	}
	sum, err := sha256Of(file)
	if err != nil {
		return info.Size(), ""
	}
	d.put(file, sum)
	return info.Size(), sum
}

func sha256Of(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
