// Checks the published folder of a tree with golang.org/x/mod/sumdb's note and tlog: tiles DIRECTORY
// VKEY. The former holds checkpoint and tile/, as the log writes them; the latter is a file with the log's
// Ed25519 key, which package note verifies with no help.
package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

// Where C2SP tlog-tiles puts what package tlog asks for.
type reader struct{ directory string }

func (r *reader) Height() int                         { return height }
func (r *reader) SaveTiles(_ []tlog.Tile, _ [][]byte) {}
func (r *reader) path(t tlog.Tile) string {
	path := strings.TrimPrefix(t.Path(), fmt.Sprintf("tile/%d/", height))
	path = strings.Replace(path, "data/", "entries/", 1)
	return filepath.Join(r.directory, "tile", path)
}

// The tile, or its full one when the partial one is gone.
func (r *reader) read(t tlog.Tile, unit int) ([]byte, error) {
	data, err := os.ReadFile(r.path(t))
	if os.IsNotExist(err) && t.W < 1<<height {
		full := t
		full.W = 1 << height
		if data, err = os.ReadFile(r.path(full)); err == nil && unit > 0 {
			data = data[:t.W*unit]
		}
	}
	return data, err
}

func (r *reader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, t := range tiles {
		data, err := r.read(t, tlog.HashSize)
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

func (r *reader) leaves(size int64) ([][]byte, error) {
	var all [][]byte
	for n := int64(0); n*256 < size; n++ {
		t := tlog.Tile{H: height, L: -1, N: n, W: 256}
		if size-n*256 < 256 {
			t.W = int(size - n*256)
		}
		data, err := r.read(t, 0)
		if err != nil {
			return nil, err
		}
		for i := 0; i < t.W; i++ {
			if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
				return nil, fmt.Errorf("entries are cut")
			}
			n := 2 + int(binary.BigEndian.Uint16(data))
			all = append(all, data[2:n])
			data = data[n:]
		}
	}
	return all, nil
}

func open(directory, vkey string) (tlog.Tree, error) {
	text, err := os.ReadFile(filepath.Join(directory, "checkpoint"))
	if err != nil {
		return tlog.Tree{}, err
	}
	verifier, err := nativeVerifier(vkey)
	if err != nil {
		return tlog.Tree{}, err
	}
	opened, err := note.Open(text, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	origin, rest, _ := strings.Cut(opened.Text, "\n")
	if origin != verifier.Name() {
		return tlog.Tree{}, fmt.Errorf("a checkpoint of %s", origin)
	}
	var size int64
	var root string
	if _, err = fmt.Sscanf(rest, "%d\n%s\n", &size, &root); err != nil {
		return tlog.Tree{}, err
	}
	hash, err := tlog.ParseHash(root)
	return tlog.Tree{N: size, Hash: hash}, err
}

func inclusion(tree tlog.Tree, hashes tlog.HashReader, leaves [][]byte) error {
	for index := int64(0); index < tree.N; index += 1 + tree.N/97 {
		proof, err := tlog.ProveRecord(tree.N, index, hashes)
		if err != nil {
			return err
		}
		err = tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(leaves[index]))
		if err != nil {
			return fmt.Errorf("record %d: %v", index, err)
		}
	}
	return nil
}

func consistency(tree tlog.Tree, hashes tlog.HashReader) error {
	for old := int64(1); old <= tree.N; old += 1 + tree.N/97 {
		root, err := tlog.TreeHash(old, hashes)
		if err != nil {
			return err
		}
		proof, err := tlog.ProveTree(tree.N, old, hashes)
		if err != nil {
			return err
		}
		if err = tlog.CheckTree(proof, tree.N, tree.Hash, old, root); err != nil {
			return fmt.Errorf("size %d: %v", old, err)
		}
	}
	return nil
}

// Every leaf against its hash in the tiles, which the reader compares with the checkpoint's root.
func entries(tree tlog.Tree, hashes tlog.HashReader, leaves [][]byte) error {
	for index := range leaves {
		stored, err := hashes.ReadHashes([]int64{tlog.StoredHashIndex(0, int64(index))})
		if err != nil {
			return err
		}
		if stored[0] != tlog.RecordHash(leaves[index]) {
			return fmt.Errorf("record %d is not that of its hash", index)
		}
	}
	return nil
}

func told(err error, words string) {
	if err != nil {
		words += ": " + err.Error()
	}
	report(err == nil, words)
}

func main() {
	r := &reader{os.Args[1]}
	tree, err := open(r.directory, os.Args[2])
	told(err, "sumdb/note accepts the checkpoint natively")
	if err == nil {
		var leaves [][]byte
		hashes := tlog.TileHashReader(tree, r)
		leaves, err = r.leaves(tree.N)
		told(err, fmt.Sprintf("the tiles hold %d records", tree.N))
		if err == nil {
			told(entries(tree, hashes, leaves), "sumdb/tlog finds each record's hash in tiles")
			told(inclusion(tree, hashes, leaves), "sumdb/tlog proves inclusion from tiles")
			told(consistency(tree, hashes), "sumdb/tlog proves consistency from tiles")
		}
	}
	if failed || err != nil {
		os.Exit(1)
	}
}
