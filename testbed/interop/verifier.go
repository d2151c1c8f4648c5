// What the checks of this folder share: verifiers of Assay's checkpoints, and how results are told.
package main

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// A verifier for signatures of type 0x02, which package note leaves to others.
type ecdsaVerifier struct {
	name string
	id   uint32
	key  *ecdsa.PublicKey
}

func (v *ecdsaVerifier) Name() string    { return v.name }
func (v *ecdsaVerifier) KeyHash() uint32 { return v.id }
func (v *ecdsaVerifier) Verify(msg, sig []byte) bool {
	digest := sha256.Sum256(msg)
	return ecdsa.VerifyASN1(v.key, digest[:], sig)
}

func newVerifier(name string, der []byte) (*ecdsaVerifier, error) {
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	key, ok := certificate.PublicKey.(*ecdsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("not an ECDSA key")
	}
	id := sha256.Sum256(certificate.RawSubjectPublicKeyInfo)
	return &ecdsaVerifier{name, binary.BigEndian.Uint32(id[:]), key}, nil
}

// The log's Ed25519 key, in a file as Assay prints it: package note knows what to do with it.
func nativeVerifier(file string) (note.Verifier, error) {
	vkey, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return note.NewVerifier(strings.TrimSpace(string(vkey)))
}

var failed bool

func report(good bool, words string) {
	if !good {
		failed = true
		fmt.Print("not ")
	}
	fmt.Println("ok " + words)
}
