// Does with AWS's SDK for JavaScript what it is told: one JSON object a line on stdin, one
// answer a line on stdout.
//
//   node s3_client.mjs ENDPOINT BUCKET path|virtual
import dns from "node:dns";
import { createRequire } from "node:module";
import { createReadStream, createWriteStream, mkdirSync, readdirSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { pipeline } from "node:stream/promises";
import { createInterface } from "node:readline";

const require = createRequire(process.env.NPM + "/");
const s3 = require("@aws-sdk/client-s3");
const { Upload } = require("@aws-sdk/lib-storage");
const { getSignedUrl } = require("@aws-sdk/s3-request-presigner");

const [endpoint, Bucket, style] = process.argv.slice(2);
if (process.env.HOSTS_ARE_LOOPBACK) {
  dns.lookup = (host, options, done) => (options.all ? done(null, [{ address: "127.0.0.1", family: 4 }]) : done(null, "127.0.0.1", 4));
}
const client = new s3.S3Client({ endpoint, forcePathStyle: style === "path", maxAttempts: 1,
  requestHandler: { httpAgent: { keepAlive: !process.env.ONE_BY_ONE } } });
const send = (name, input) => client.send(new s3[name + "Command"]({ Bucket, ...input }));

async function* keys(Prefix) {
  let ContinuationToken;
  do {
    const page = await send("ListObjectsV2", { Prefix, MaxKeys: 4, ContinuationToken });
    yield* (page.Contents ?? []).map((o) => o.Key);
    ContinuationToken = page.NextContinuationToken;
  } while (ContinuationToken);
}

const all = async (generator) => { const got = []; for await (const one of generator) got.push(one); return got; };
const save = async (input, file) => {
  mkdirSync(dirname(file), { recursive: true });
  await pipeline((await send("GetObject", input)).Body, createWriteStream(file));
};
const upload = (Key, file) => new Upload({ client, params: { Bucket, Key, Body: createReadStream(file) }, partSize: 8 << 20 }).done();

const operations = {
  put: (o) => send("PutObject", { Key: o.key, Body: createReadStream(o.file), ContentLength: o.size, ContentType: o.type, Metadata: o.metadata ?? {} }),
  get: (o) => save({ Key: o.key }, o.file),
  range: (o) => save({ Key: o.key, Range: `bytes=${o.first}-${o.last}` }, o.file),
  head: async (o) => {
    const a = await send("HeadObject", { Key: o.key });
    return { size: a.ContentLength, type: a.ContentType, metadata: a.Metadata };
  },
  list: async (o) => ({ keys: await all(keys(o.key)) }),
  buckets: async () => ({ keys: (await client.send(new s3.ListBucketsCommand({}))).Buckets.map((b) => b.Name) }),
  copy: (o) => send("CopyObject", { Key: o.to, CopySource: Bucket + "/" + o.key.split("/").map(encodeURIComponent).join("/") }),
  upload: (o) => upload(o.key, o.file),
  download: (o) => save({ Key: o.key }, o.file),
  delete: (o) => send("DeleteObject", { Key: o.key }),
  "delete-many": async (o) => {
    const a = await send("DeleteObjects", { Delete: { Objects: o.keys.map((Key) => ({ Key })) } });
    return { keys: (a.Deleted ?? []).map((d) => d.Key), refused: Object.fromEntries((a.Errors ?? []).map((e) => [e.Key, e.Code])) };
  },
  "put-folder": async (o) => {
    for (const entry of readdirSync(o.folder, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath ?? entry.path, entry.name);
      if (entry.isFile()) await upload(o.key + relative(o.folder, path), path);
    }
  },
  "get-folder": async (o) => { for (const key of await all(keys(o.key))) await save({ Key: key }, join(o.folder, key.slice(o.key.length))); },
  "presign-get": async (o) => ({ url: await getSignedUrl(client, new s3.GetObjectCommand({ Bucket, Key: o.key }), { expiresIn: 300 }) }),
  "presign-put": async (o) => ({ url: await getSignedUrl(client, new s3.PutObjectCommand({ Bucket, Key: o.key }), { expiresIn: 300 }) }),
};

for await (const line of createInterface({ input: process.stdin })) {
  const o = JSON.parse(line);
  let answer;
  try {
    const { keys, refused, url, size, type, metadata } = (await operations[o.op](o)) ?? {};
    answer = { keys, refused, url, size: typeof size === "number" ? size : 0, type, metadata };
  } catch (e) {
    answer = { error: e.Code ?? e.name, said: String(e) };
  }
  console.log(JSON.stringify(answer));
}
