// What AWS's SDK for JavaScript does with our STS. Prints one JSON object a step.
//
//   node aws_client.mjs ci            the steps of AWS's action for CI
//   node aws_client.mjs token COUNT   fromTokenFile, by the environment
//   node aws_client.mjs http COUNT    fromHttp: the container endpoint, by the environment
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const require = createRequire(process.env.NPM + "/");
const { STSClient, AssumeRoleWithWebIdentityCommand, GetCallerIdentityCommand } = require("@aws-sdk/client-sts");
const { SignatureV4 } = require("@smithy/signature-v4");
const { fromTokenFile, fromHttp, fromWebToken } = require("@aws-sdk/credential-providers");

const say = (o) => console.log(JSON.stringify(o));
const [mode, count] = process.argv.slice(2);

// seen records what the SDK sends: an assertion about a request is one about it.
const seen = (client) => {
  client.middlewareStack.add((next) => async (args) => {
    say({ sent: args.request.method, path: args.request.path, hash: "x-amz-content-sha256" in args.request.headers,
      query: Object.keys(args.request.query ?? {}).length });
    return next(args);
  }, { step: "finalizeRequest", priority: "low" });
  return client;
};

if (mode === "ci") {
  const token = readFileSync(process.env.AWS_WEB_IDENTITY_TOKEN_FILE, "utf8").trim();
  const input = { RoleArn: process.env.AWS_ROLE_ARN, RoleSessionName: "GitHubActions", DurationSeconds: 3600 };
  const anonymous = seen(new STSClient({ credentials: { accessKeyId: "", secretAccessKey: "" } }));
  const { Credentials: c, AssumedRoleUser: u } =
    await anonymous.send(new AssumeRoleWithWebIdentityCommand({ ...input, WebIdentityToken: token }));
  say({ assumed: u.Arn, expires: c.Expiration.getTime() });
  const credentials = { accessKeyId: c.AccessKeyId, secretAccessKey: c.SecretAccessKey, sessionToken: c.SessionToken };
  const identity = await seen(new STSClient({ credentials })).send(new GetCallerIdentityCommand({}));
  say({ arn: identity.Arn, account: identity.Account });
  // Other versions of the SDK send no hash of the body.
  class Unhashed extends SignatureV4 {
    constructor(options) { super({ ...options, applyChecksum: false }); }
  }
  await seen(new STSClient({ credentials, signerConstructor: Unhashed })).send(new GetCallerIdentityCommand({}));
  const web = await fromWebToken({ roleArn: input.RoleArn, roleSessionName: "from-web-token", webIdentityToken: token })();
  say({ webToken: web.accessKeyId });
  for (const bad of [{ ...input, WebIdentityToken: "not.a.token" }, { ...input, RoleSessionName: "a b", WebIdentityToken: token },
    { ...input, RoleArn: input.RoleArn + "-other", WebIdentityToken: token }]) {
    await anonymous.send(new AssumeRoleWithWebIdentityCommand(bad)).then(
      () => { throw new Error("a bad request was answered"); }, (e) => say({ refused: e.name }));
  }
} else {
  const provider = mode === "http" ? fromHttp({}) : fromTokenFile({ roleSessionName: "from-token-file" });
  const client = new STSClient({ credentials: provider });
  for (let i = 0; i < Number(count); i++) {
    const identity = await client.send(new GetCallerIdentityCommand({}));
    say({ arn: identity.Arn, key: (await client.config.credentials()).accessKeyId });
  }
}
