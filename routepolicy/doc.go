// Package routepolicy says which callers may use which method and path of a service.
//
//	policy, err := routepolicy.FromFile("policies.yaml", "parse-service")
//	handler = middleware.Chain(handler, middleware.Authenticate(verifier), middleware.RoutePolicy(policy))
//
// [Follow] gets the policies from the server instead and keeps up with their changes.
//
// # Documents
//
//	kind: RoutePolicy
//	name: parse-service-defaults
//	service: parse-service             # the receiving service
//	enforce: true                      # false: tell what would be denied, let it pass
//	rules:
//	  - name: admins-read-their-tenant
//	    from: {services: [backend-actor], users: ["**"], user_roles: [admin]}
//	    to: {methods: [GET], paths: ["/v1/tenants/{tenant}/**"]}
//	    when: 'principal.tenant == request.path_params.tenant'
//
// A call is allowed when a rule of any policy of the service allows it; everything else is
// denied. A rule allows a call when each key in from holds (AND), by one of its values
// (OR), one of the methods and of the paths matches, and when is true. The rule that is
// named is the first that allows, in the order of the policies' names and of their rules.
//
// The keys in from: services (patterns of names), users (ISSUER|SUBJECT with a pattern for
// the subject, or "**" for every user), user_roles, scopes (of the service's token; without
// a service, of the user's), roles (that temporary credentials were taken for). A rule
// without services says without_service: true and then does not look at the service: it
// matches callers with and without one. A rule that would let in everybody (* or ** alone
// for services; every user or every caller and no other key) needs a when.
//
// # Patterns
//
// In names, subjects and paths * is one or more characters except / and :, and ** at the
// end is any characters or none (RULES D1). All of the text must match, byte by byte. A
// pattern of services without a / does not match ISSUER/NAME, a service of an issuer that
// is not trusted for bare names (RULES A2). In a path {name} stands for a whole segment,
// as * does, and is request.path_params.name in the condition. Methods are literal; GET
// does not imply HEAD.
//
// # Paths
//
// Patterns are compared with the decoded path. A path that somebody on the way could read
// in another way is denied before (RULES G5): see [Policy.Decide].
//
// # Conditions
//
// when is a condition of package condition about principal.service, principal.user.issuer,
// principal.user.subject, principal.user.roles, principal.scopes, principal.tenant,
// principal.roles (those of temporary credentials), request.method, request.path (decoded),
// request.path_params and request.time. What is not there is "" or an empty list, a missing
// parameter is no match, and so is every error.
//
// # Policies that are not enforced
//
// When all policies of a service have enforce: false, a call that no rule allows is let
// pass, and the verdict says that it would be denied. As soon as one of them is enforced,
// denials hold. The rules of all count alike.
//
// Layer 2.
package routepolicy
