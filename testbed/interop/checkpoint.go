// Checks a checkpoint with golang.org/x/mod/sumdb's note and tlog: checkpoint DIRECTORY, which holds
// checkpoint, certificate.der, vkey and, maybe, entries (each leaf after its length in 2 bytes), from which
// the root is computed anew.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// The hashes of the tree, as tlog stores them.
type store []tlog.Hash

func (s *store) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var out []tlog.Hash
	for _, i := range indexes {
		out = append(out, (*s)[i])
	}
	return out, nil
}

func computeRoot(entries []byte) (int64, tlog.Hash, error) {
	var hashes store
	var size int64
	for len(entries) > 0 {
		if len(entries) < 2 || len(entries)-2 < int(binary.BigEndian.Uint16(entries)) {
			return 0, tlog.Hash{}, fmt.Errorf("entries are cut")
		}
		n := 2 + int(binary.BigEndian.Uint16(entries))
		more, err := tlog.StoredHashes(size, entries[2:n], &hashes)
		if err != nil {
			return 0, tlog.Hash{}, err
		}
		hashes = append(hashes, more...)
		entries = entries[n:]
		size++
	}
	root, err := tlog.TreeHash(size, &hashes)
	return size, root, err
}

// Go's base64 passes over the spare bits before the padding, so two notes can be the same.
func same(a, b *note.Note) bool {
	x, errX := base64.StdEncoding.DecodeString(a.Sigs[0].Base64)
	y, errY := base64.StdEncoding.DecodeString(b.Sigs[0].Base64)
	return a.Text == b.Text && errX == nil && errY == nil && bytes.Equal(x, y)
}

// Is any changed copy accepted for another note than the one that it was? Where: else -1.
func accepted(text []byte, opened *note.Note, known note.Verifiers) int {
	at := -1
	for i := range text {
		copied := append([]byte{}, text...)
		copied[i] ^= 1 << (i % 8)
		changed, err := note.Open(copied, known)
		if err == nil && len(changed.Sigs) > 0 && !same(changed, opened) {
			at = i
		}
	}
	return at
}

// With nothing but what package note brings: the line of Ed25519.
func checkNatively(directory string, text []byte) error {
	verifier, err := nativeVerifier(filepath.Join(directory, "vkey"))
	report(err == nil, "sumdb/note reads the log's Ed25519 key")
	if err != nil {
		return err
	}
	known := note.VerifierList(verifier)
	opened, err := note.Open(text, known)
	report(err == nil && len(opened.Sigs) == 1, "sumdb/note accepts the Ed25519 line natively")
	if err != nil {
		return err
	}
	report(accepted(text, opened, known) < 0, "sumdb/note refuses a changed copy natively")
	return nil
}

func check(directory string) error {
	text, err := os.ReadFile(filepath.Join(directory, "checkpoint"))
	if err != nil {
		return err
	}
	der, err := os.ReadFile(filepath.Join(directory, "certificate.der"))
	if err != nil {
		return err
	}
	origin, _, _ := strings.Cut(string(text), "\n")
	verifier, err := newVerifier(origin, der)
	if err != nil {
		return err
	}
	known := note.VerifierList(verifier)
	opened, err := note.Open(text, known)
	report(err == nil && len(opened.Sigs) == 1, "sumdb/note accepts the checkpoint")
	if err != nil {
		return err
	}
	report(accepted(text, opened, known) < 0, "sumdb/note refuses a changed checkpoint")
	if err = checkNatively(directory, text); err != nil {
		return err
	}

	lines := strings.Split(opened.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	root, err2 := base64.StdEncoding.DecodeString(lines[2])
	report(len(lines) == 4 && err == nil && err2 == nil && len(root) == 32,
		"the checkpoint holds origin, size and root")
	entries, err := os.ReadFile(filepath.Join(directory, "entries"))
	if err != nil {
		return nil
	}
	computed, hash, err := computeRoot(entries)
	report(err == nil && computed == size && bytes.Equal(hash[:], root),
		"sumdb/tlog computes the checkpoint's root from the leaves")
	entries[2] ^= 1
	_, hash, err = computeRoot(entries)
	report(err == nil && !bytes.Equal(hash[:], root), "and another one from changed leaves")
	return nil
}

func main() {
	if err := check(os.Args[1]); err != nil {
		report(false, err.Error())
	}
	if failed {
		os.Exit(1)
	}
}
