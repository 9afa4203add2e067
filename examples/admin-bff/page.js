const answer = document.querySelector("#answer");

async function ask(method, path, body, headers = {}) {
  headers.Authorization = "Bearer " + document.querySelector("#token").value;
  if (body) headers["Content-Type"] = "application/json";
  const response = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  answer.textContent = response.status + " " + (await response.clone().text());
  return response;
}

document.querySelector("#tenant").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  const path = "/api/tenants/" + encodeURIComponent(form.get("id"));
  const now = await ask("GET", path);
  if (now.ok) await ask("PUT", path, { display_name: form.get("display_name") }, { "If-Match": now.headers.get("ETag") });
});

document.querySelector("#lookup").addEventListener("submit", async (event) => {
  event.preventDefault();
  await ask("POST", "/api/lookup", { emails: [new FormData(event.target).get("email")] });
});
