// A real OpenID provider (npm oidc-provider) for the integration tests.
//
//   PROVIDER_MODULES=DIR node provider.js '{ "clients": [...], … }'
//
// DIR is where `.ci/provider DIR` (part of `make test-packages`) has installed oidc-provider: `provider` in cargo's target
// directory. In tests: `harness::Provider`.
//
// Listens on 127.0.0.1, on a port of the system's choosing or `port`; prints one line of JSON, { "issuer": URL, "port": N },
// when it is ready, and ends when its standard input does, so that it never outlives a test. What it says goes to standard
// error.
//
// The one argument is JSON, all of it optional:
//   port           a port, to come back where a provider was before
//   issuer         its name, in place of http://127.0.0.1:PORT (for a proxy before it)
//   clients        client metadata as oidc-provider takes them, in place of the four below
//   scopes         of the API, default ["orders:read", "orders:write"]
//   audience       of access tokens, default "orders-api"; a client that asks for another `resource` (RFC 8707, an absolute
//                  URI) gets tokens for that one
//   alg            that signs access tokens, default "ES256"
//   lifetime       of access tokens in seconds, default 300
//   opaque         true: access tokens are no JWTs, and have to be introspected
//   dpop_nonce     true: the token endpoint demands a nonce
//   login_page     true: somebody has to click before they are logged in
//
// Clients that are there unless others are named:
//   service        secret "service-secret", client_credentials, by Bearer or DPoP
//   dpop           secret "dpop-secret", client_credentials; its access tokens are bound to a key
//   app            secret "app-secret", authorization_code and refresh_token, PKCE; redirect_uris and
//                  post_logout_redirect_uris from `redirect_uris`/`logout_uris` in the argument
//   exchange       secret "exchange-secret", token exchange (RFC 8693) of access tokens of this provider
//
// Beside the provider's own endpoints (/.well-known/openid-configuration lists them) there are, for tests:
//   GET  /login/UID?user=NAME      ends an interaction at once: logs in as NAME (default alice), grants what was asked for
//   POST /control/rotate           a new signing key in place of the present one, whose tokens are good for as long as
//                                  whoever has fetched it keeps it; ?keep=1 publishes the old one beside it
//   POST /control/down, /control/up   every other request gets 503, or is answered again
//   GET  /control/counts           how often each path was asked for, e.g. { "/jwks": 3 }
import http from 'node:http';
import { createRequire } from 'node:module';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { pathToFileURL } from 'node:url';

const settings = JSON.parse(process.argv[2] ?? '{}') ?? {};
// It says on import that this Node is not the newest.
console.info = console.warn = console.error;
const installed = createRequire(`${process.env.PROVIDER_MODULES ?? import.meta.dirname}/`).resolve('oidc-provider');
const { default: Provider, errors } = await import(pathToFileURL(installed));

const audience = settings.audience ?? 'orders-api';
const alg = settings.alg ?? 'ES256';
const scopes = settings.scopes ?? ['orders:read', 'orders:write'];
const RESOURCE = 'https://orders.example.com';
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

function generate(algorithm) {
  const pair = {
    ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    EdDSA: () => generateKeyPairSync('ed25519'),
    Ed25519: () => generateKeyPairSync('ed25519'),
    RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
    PS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  }[algorithm]();
  return { ...pair.privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg: algorithm };
}

const secret = { token_endpoint_auth_method: 'client_secret_basic', response_types: [], redirect_uris: [] };
const clients = settings.clients ?? [
  { client_id: 'service', client_secret: 'service-secret', grant_types: ['client_credentials'], ...secret },
  {
    client_id: 'dpop',
    client_secret: 'dpop-secret',
    grant_types: ['client_credentials'],
    dpop_bound_access_tokens: true,
    ...secret,
  },
  {
    client_id: 'app',
    client_secret: 'app-secret',
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    redirect_uris: settings.redirect_uris ?? ['http://127.0.0.1/callback'],
    post_logout_redirect_uris: settings.logout_uris ?? [],
    token_endpoint_auth_method: 'client_secret_basic',
    id_token_signed_response_alg: alg,
  },
  { client_id: 'exchange', client_secret: 'exchange-secret', grant_types: [EXCHANGE], ...secret },
];

const configuration = () => ({
  clients,
  clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'],
  // The signing key comes first; another is there for ID tokens of clients that ask for RS256.
  jwks: { keys },
  cookies: { keys: ['a key for cookies of tests'] },
  scopes: ['openid', 'offline_access', 'profile', 'email', ...scopes],
  claims: { openid: ['sub'], profile: ['name', 'groups'], email: ['email', 'email_verified'] },
  ttl: { AccessToken: settings.lifetime ?? 300, ClientCredentials: settings.lifetime ?? 300, IdToken: 300 },
  pkce: { required: () => true },
  rotateRefreshToken: true,
  conformIdTokenClaims: false,
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({
      sub: id, name: `Name of ${id}`, groups: ['users', 'staff'], email: `${id}@example.com`, email_verified: true,
    }),
  }),
  interactions: { url: (_, interaction) => `/login/${interaction.uid}` },
  issueRefreshToken: async (_, client) => client.grantTypeAllowed('refresh_token'),
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    revocation: { enabled: true },
    rpInitiatedLogout: {
      enabled: true,
      // Without asking: whoever tests a logout means it.
      logoutSource: (ctx, form) => {
        ctx.body = `<!doctype html><body onload="document.forms[0].submit()">${form}<script>
          const yes = document.createElement('input');
          yes.type = 'hidden'; yes.name = 'logout'; yes.value = 'yes'; document.forms[0].append(yes);
        </script></body>`;
      },
    },
    dPoP: {
      enabled: true,
      nonceSecret: Buffer.alloc(32, 7),
      requireNonce: () => settings.dpop_nonce === true,
    },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => RESOURCE,
      useGrantedResource: () => true,
      getResourceServerInfo: (_, resource) => ({
        scope: scopes.join(' '),
        audience: resource === RESOURCE ? audience : resource,
        accessTokenFormat: settings.opaque ? 'opaque' : 'jwt',
        jwt: { sign: { alg } },
      }),
    },
  },
});

/// Token exchange: an access token of this provider for one of the client that asks, for another audience.
function exchange(provider) {
  const parameters = ['subject_token', 'subject_token_type', 'requested_token_type', 'audience', 'resource', 'scope'];
  provider.registerGrantType(EXCHANGE, async (ctx) => {
    const { params, client } = ctx.oidc;
    if (params.subject_token_type !== ACCESS_TOKEN) throw new errors.InvalidRequest('subject_token_type');
    const token = await find(provider, params.subject_token);
    if (!token || token.isExpired) throw new errors.InvalidGrant('subject_token');
    const granted = (params.scope ?? token.scope ?? '').split(' ').filter((scope) => scopes.includes(scope)).join(' ');
    const issued = new provider.AccessToken({
      client, accountId: token.accountId ?? token.clientId, gty: 'token_exchange', scope: granted,
    });
    issued.resourceServer = new provider.ResourceServer(RESOURCE, {
      scope: scopes.join(' '),
      audience: params.audience ?? audience,
      accessTokenFormat: 'jwt',
      jwt: { sign: { alg } },
    });
    ctx.body = {
      access_token: await issued.save(),
      issued_token_type: ACCESS_TOKEN,
      token_type: 'Bearer',
      expires_in: issued.expiration,
      scope: granted || undefined,
    };
  }, parameters);
}

/// A token, opaque or JWT: the latter are not stored, so they are read without a look at their signature. Tests alone do so.
async function find(provider, text) {
  const stored = await provider.AccessToken.find(text) ?? await provider.ClientCredentials.find(text);
  if (stored) return stored;
  try {
    const claims = JSON.parse(Buffer.from(text.split('.')[1], 'base64url'));
    if (claims.iss !== provider.issuer || claims.exp * 1000 < Date.now()) return undefined;
    return { scope: claims.scope, accountId: claims.sub, clientId: claims.client_id };
  } catch {
    return undefined;
  }
}

/// Ends an interaction: logs in and grants all that was asked for.
async function login(provider, request, response, url) {
  if (settings.login_page && !url.searchParams.has('user')) {
    response.setHeader('content-type', 'text/html');
    return response.end('<!doctype html><title>Log in</title><a href="?user=alice">Log in as alice</a>');
  }
  const { prompt, params, session, grantId } = await provider.interactionDetails(request, response);
  const accountId = session?.accountId ?? url.searchParams.get('user') ?? 'alice';
  const result = {};
  if (prompt.name === 'login') result.login = { accountId };
  const grant = (grantId && await provider.Grant.find(grantId)) ?? new provider.Grant({ accountId, clientId: params.client_id });
  grant.addOIDCScope(params.scope ?? 'openid');
  grant.addResourceScope(RESOURCE, scopes.join(' '));
  result.consent = { grantId: await grant.save() };
  await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: true });
}

let keys = [generate(alg), ...(alg === 'RS256' ? [] : [generate('RS256')])];
let handle;
let down = false;
const counts = {};

function start(issuer) {
  const provider = new Provider(issuer, configuration());
  provider.proxy = settings.issuer !== undefined;
  exchange(provider);
  for (const event of ['server_error', 'grant.error', 'authorization.error', 'interaction.error']) {
    provider.on(event, (_, error) => console.error(event, error.message, error.error_description ?? ''));
  }
  const callback = provider.callback();
  handle = (request, response, url) => {
    if (url.pathname.startsWith('/login/')) {
      return login(provider, request, response, url).catch((error) => {
        console.error('login', error);
        response.writeHead(400).end();
      });
    }
    return callback(request, response);
  };
}

function control(url, response) {
  switch (url.pathname) {
    case '/control/rotate': {
      const kept = url.searchParams.has('keep') ? keys : keys.filter((key) => key.alg !== alg);
      keys = [generate(alg), ...kept];
      start(issuer);
      break;
    }
    case '/control/down':
    case '/control/up':
      down = url.pathname === '/control/down';
      break;
    case '/control/counts':
      break;
    default:
      return response.writeHead(404).end();
  }
  response.setHeader('content-type', 'application/json');
  return response.end(JSON.stringify(counts));
}

let issuer;
const server = http.createServer((request, response) => {
  const url = new URL(request.url, 'http://127.0.0.1');
  if (url.pathname.startsWith('/control/')) return control(url, response);
  counts[url.pathname] = (counts[url.pathname] ?? 0) + 1;
  if (down) return response.writeHead(503).end();
  return handle(request, response, url);
});
server.listen(settings.port ?? 0, '127.0.0.1', () => {
  const { port } = server.address();
  issuer = settings.issuer ?? `http://127.0.0.1:${port}`;
  start(issuer);
  console.log(JSON.stringify({ issuer, port }));
});
process.stdin.resume().on('end', () => process.exit(0)).on('error', () => process.exit(0));
