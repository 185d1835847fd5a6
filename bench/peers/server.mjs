// server.mjs: the small server on node's http module, one process.
//
//   node bench/peers/server.mjs --port 8080
import http from 'node:http';

const big = Buffer.alloc(65_536, 'x');

function answer(response, type, body) {
  response.writeHead(200, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) });
  response.end(body);
}

function count(request, response) {
  let size = 0;
  request.on('data', (piece) => { size += piece.length; });
  request.on('end', () => answer(response, 'text/plain', String(size)));
}

const words = process.argv.slice(2);
if (words.length !== 0 && (words.length !== 2 || words[0] !== '--port' || !/^\d{1,5}$/.test(words[1]))) {
  process.stderr.write('usage: node server.mjs [--port N]\n');
  process.exit(2);
}

const server = http.createServer((request, response) => {
  const query = request.url.indexOf('?');
  const asked = `${request.method} ${query < 0 ? request.url : request.url.slice(0, query)}`;
  if (asked === 'GET /') {
    answer(response, 'text/plain', 'Hello, World!');
  } else if (asked === 'POST /count') {
    count(request, response);
  } else if (asked === 'GET /big') {
    answer(response, 'application/octet-stream', big);
  } else {
    response.writeHead(404, { 'Content-Length': 0 });
    response.end();
  }
});
server.keepAliveTimeout = 60_000; // ms
server.on('error', (error) => {
  process.stderr.write(`server.mjs: ${error.message}\n`);
  process.exit(1);
});
process.on('SIGTERM', () => process.exit(0));
server.listen({ host: '127.0.0.1', port: Number(words[1] ?? 0), backlog: 4096 }, () => {
  process.stderr.write(`version node ${process.versions.node}\nlistening on 127.0.0.1:${server.address().port}\n`);
});
