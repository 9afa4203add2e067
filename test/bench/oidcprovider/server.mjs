// node oidc-provider with the client credentials grant and ES256 JWT access tokens:
// the fastest peer for the token endpoint. Its defaults otherwise: memory store.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const key = { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'ES256', kid: 'k1' };
const resource = 'urn:parse-service';
const provider = new Provider('http://127.0.0.1', {
  jwks: { keys: [key] },
  clients: [{
    client_id: 'document-service', client_secret: process.env.CLIENT_SECRET,
    grant_types: ['client_credentials'], redirect_uris: [], response_types: [],
    token_endpoint_auth_method: 'client_secret_basic', id_token_signed_response_alg: 'ES256', scope: 's2s:internal',
  }],
  scopes: ['s2s:internal'],
  ttl: { ClientCredentials: 900 },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => resource,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: 's2s:internal', audience: 'parse-service', accessTokenTTL: 900,
        accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } },
      }),
    },
  },
});
const server = createServer(provider.callback());
server.listen(0, '127.0.0.1', () => console.log(`127.0.0.1:${server.address().port}`));
