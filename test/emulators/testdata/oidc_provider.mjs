// A foreign OIDC issuer: npm's oidc-provider, whose one client gets JWTs by client
// credentials. Prints its URL when it answers.
import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const library = join(process.env.NPM, "node_modules", "oidc-provider", "lib", "index.js");
const { default: Provider } = await import(pathToFileURL(library));

const key = (algorithm, type, options) => ({
  ...generateKeyPairSync(type, options).privateKey.export({ format: "jwk" }), alg: algorithm, use: "sig", kid: algorithm });

const server = createServer();
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  jwks: { keys: [key("RS256", "rsa", { modulusLength: 2048 }), key("ES256", "ec", { namedCurve: "P-256" })] },
  clients: [{ client_id: "ci-job", client_secret: process.env.CLIENT_SECRET, grant_types: ["client_credentials"],
    redirect_uris: [], response_types: [] }],
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      // The resource says the algorithm, so that one provider shows several.
      getResourceServerInfo: (_, resource) => ({
        scope: "read", audience: resource, accessTokenTTL: 300, accessTokenFormat: "jwt",
        jwt: { sign: { alg: resource.endsWith("/es256") ? "ES256" : "RS256" } } }),
    },
  },
  extraTokenClaims: () => ({ department: "docs" }),
});
server.on("request", provider.callback());
console.log(`listening at ${issuer}`);
