// What the checks of this folder share: a verifier of Assay's checkpoints, and how results are told.
package main

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"fmt"
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

var failed bool

func report(good bool, words string) {
	if !good {
		failed = true
		fmt.Print("not ")
	}
	fmt.Println("ok " + words)
}
