package keys

// DerivedHash is how client secrets were hashed before they had a key of their own.
func DerivedHash(m *Master, deployment, secret string) [32]byte {
	return newSecretHasher(m.Derive(labelClientSecret, deployment)).hash(secret)
}
