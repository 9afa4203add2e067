package countersign

// Reason is the stable id of why a decision fell as it did. Reasons stand in audit
// events and in explain; callers see them only where expose_reasons is set. The
// list only grows: an id keeps its meaning for ever.
type Reason string

// Reasons of the receiving side and of every verifier.
const (
	ReasonOK                   Reason = "ok"
	ReasonTokenMissing         Reason = "token_missing"
	ReasonTokenMalformed       Reason = "token_malformed"
	ReasonTokenTooLarge        Reason = "token_too_large"
	ReasonHeaderDuplicated     Reason = "header_duplicated"
	ReasonHeaderMalformed      Reason = "header_malformed"
	ReasonAlgNotAllowed        Reason = "alg_not_allowed"
	ReasonTypMismatch          Reason = "typ_mismatch"
	ReasonHeaderNotAllowed     Reason = "header_not_allowed" // crit, jwk, jku, x5u, x5c, zip, b64
	ReasonIssuerUnknown        Reason = "issuer_unknown"
	ReasonKeyUnknown           Reason = "key_unknown"
	ReasonKeysUnavailable      Reason = "keys_unavailable"
	ReasonSignatureInvalid     Reason = "signature_invalid"
	ReasonClaimMissing         Reason = "claim_missing"
	ReasonClaimInvalid         Reason = "claim_invalid"
	ReasonAudMismatch          Reason = "aud_mismatch"
	ReasonTokenExpired         Reason = "token_expired"
	ReasonTokenNotYetValid     Reason = "token_not_yet_valid"
	ReasonTokenUseMismatch     Reason = "token_use_mismatch"
	ReasonTokenRevoked         Reason = "token_revoked"
	ReasonProofRequired        Reason = "proof_required" // a cnf that we can't prove
	ReasonServiceNotAllowed    Reason = "service_not_allowed"
	ReasonServiceRequired      Reason = "service_required"
	ReasonScopeMissing         Reason = "scope_missing"
	ReasonUserRequired         Reason = "user_required"
	ReasonUserNotAllowed       Reason = "user_not_allowed" // a machine-only door, and a user came
	ReasonRoleMissing          Reason = "role_missing"
	ReasonSecondTokenMismatch  Reason = "second_token_mismatch" // two users or two services in two headers
	ReasonRevocationUnknown    Reason = "revocation_unknown"
	ReasonPrincipalUnsupported Reason = "principal_unsupported"
	ReasonRouteNotAllowed      Reason = "route_not_allowed" // no rule of a route policy lets the call pass
	ReasonRouteNotCanonical    Reason = "route_not_canonical"
	ReasonPolicyUnavailable    Reason = "policy_unavailable" // no route policy was ever received
)

// Reasons of the token endpoint, the IAM API and administration.
const (
	ReasonParameterMissing    Reason = "parameter_missing"
	ReasonParameterInvalid    Reason = "parameter_invalid"
	ReasonParameterDuplicated Reason = "parameter_duplicated"
	ReasonBodyTooLarge        Reason = "body_too_large"
	ReasonBodyInvalid         Reason = "body_invalid"
	ReasonMediaType           Reason = "media_type"
	ReasonMethod              Reason = "method"
	ReasonGrantUnsupported    Reason = "grant_unsupported"
	ReasonGrantNotAllowed     Reason = "grant_not_allowed"
	ReasonClientAuthDoubled   Reason = "client_auth_doubled"
	ReasonClientUnknown       Reason = "client_unknown"
	ReasonClientDisabled      Reason = "client_disabled"
	ReasonSecretWrong         Reason = "secret_wrong"
	ReasonSecretExpired       Reason = "secret_expired"
	ReasonScopeNotGranted     Reason = "scope_not_granted"
	ReasonAudienceMissing     Reason = "audience_missing"
	ReasonAudienceNotGranted  Reason = "audience_not_granted"
	ReasonAssertionInvalid    Reason = "assertion_invalid" // a client assertion that does not prove the client
	ReasonAssertionReplayed   Reason = "assertion_replayed"
	ReasonRateLimited         Reason = "rate_limited"
	ReasonQuotaExceeded       Reason = "quota_exceeded"
	ReasonStale               Reason = "stale" // what was revoked lately is not known: RULES E4
	ReasonResourceInvalid     Reason = "resource_invalid"
	ReasonResourceReadOnly    Reason = "resource_read_only" // it comes from a file of the server's config
	ReasonOwnerMismatch       Reason = "owner_mismatch"
	ReasonPathNotAllowed      Reason = "path_not_allowed" // of this machine: RULES A8
	ReasonStoreUnavailable    Reason = "store_unavailable"
	ReasonAuditUnavailable    Reason = "audit_unavailable"
	ReasonNotAdministrator    Reason = "not_administrator"
	ReasonHostNotServed       Reason = "host_not_served"
	ReasonNameInvalid         Reason = "name_invalid"
	ReasonNameReserved        Reason = "name_reserved"
	ReasonNameTaken           Reason = "name_taken"
	ReasonObjectUnknown       Reason = "object_unknown"
	ReasonRevisionMismatch    Reason = "revision_mismatch"
	ReasonRevisionMissing     Reason = "revision_missing"
	ReasonFieldUnknown        Reason = "field_unknown"
	// Of the STS and of roles.
	ReasonActionUnsupported   Reason = "action_unsupported"
	ReasonRoleUnknown         Reason = "role_unknown"
	ReasonTemplateValue       Reason = "template_value" // a template of a role's permissions has no usable value
	ReasonSessionPolicy       Reason = "session_policy_invalid"
	ReasonTrustNotMatched     Reason = "trust_not_matched" // no statement of the role trusts the caller
	ReasonRoleTenant          Reason = "role_tenant"       // the role belongs to another tenant than its proof
	ReasonSessionEnded        Reason = "session_ended"     // its role, trust statement or issuer is another one now
	ReasonSessionRevoked      Reason = "session_revoked"
	ReasonSessionTooLarge     Reason = "session_too_large"    // its sealed token would be over 2 KiB
	ReasonAccessKeyMalformed  Reason = "access_key_malformed" // no id of a session's, or one that comes without a token
	ReasonAccessKeyUnknown    Reason = "access_key_unknown"   // no long-lived key has that id
	ReasonAccessKeyEnded      Reason = "access_key_ended"     // revoked, or its service, role or trust is another one now
	ReasonAccessKeyLimit      Reason = "access_key_limit"     // the service has its most
	ReasonHeaderUnsigned      Reason = "header_unsigned"      // a header that a request signature has to cover
	ReasonCredentialScope     Reason = "credential_scope"     // signed for another service or region
	ReasonClockSkewed         Reason = "clock_skewed"
	ReasonBodyMismatch        Reason = "body_mismatch"
	ReasonChecksumMismatch    Reason = "checksum_mismatch" // the body does not have the checksum that came with it
	ReasonTrustProof          Reason = "trust_proof"       // the statement is about another kind of proof
	ReasonTrustIssuer         Reason = "trust_issuer"
	ReasonTrustAudience       Reason = "trust_audience"
	ReasonTrustAccount        Reason = "trust_account"
	ReasonTrustUniqueID       Reason = "trust_unique_id"
	ReasonTrustClaim          Reason = "trust_claim"
	ReasonTrustSubject        Reason = "trust_subject"
	ReasonTrustCondition      Reason = "trust_condition"
	ReasonProofInvalid        Reason = "proof_invalid"   // a signed GetCallerIdentity that is not exactly that
	ReasonProofHost           Reason = "proof_host"      // it is not for an STS that we ask
	ReasonProofServerID       Reason = "proof_server_id" // it was not signed for us
	ReasonProofReplayed       Reason = "proof_replayed"
	ReasonLoginUnknown        Reason = "login_unknown"  // an administrator's login, or the code for one, that is not good
	ReasonUpstreamReply       Reason = "upstream_reply" // somebody else's server answered what we don't believe
	ReasonRegionDisabled      Reason = "region_disabled"
	ReasonUpstreamUnavailable Reason = "upstream_unavailable"
	// Of the S3 gateway.
	ReasonActionNotAllowed    Reason = "action_not_allowed"    // the role or the session's policy does not let it
	ReasonBucketNotOpen       Reason = "bucket_not_open"       // the bucket names other roles, or is of another tenant
	ReasonAnonymousNotAllowed Reason = "anonymous_not_allowed" // nobody signed, and that is not open to anybody
	ReasonKeyInvalid          Reason = "key_invalid"           // a key that programs read in several ways
	ReasonUserDisabled        Reason = "user_disabled"
	ReasonTenantNotMember     Reason = "tenant_not_member" // a request for a tenant that the user does not belong to
	ReasonLastSuperAdmin      Reason = "last_super_admin"
	ReasonNotHeld             Reason = "not_held" // nobody grants, or takes away, what they don't hold: RULES A7
	ReasonInUse               Reason = "in_use"   // something still belongs to what is to be deleted
	ReasonCursorInvalid       Reason = "cursor_invalid"
	ReasonClientGone          Reason = "client_gone" // it did not take its answer
	ReasonInternal            Reason = "internal"
	ReasonSeveral             Reason = "several" // one audit event that stands for refusals of many kinds
)
