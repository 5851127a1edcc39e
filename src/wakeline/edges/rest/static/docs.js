// Reads openapi.json and adds what a page without it lacks: a filter, schemas, and a form to try each operation.
"use strict";

const keyField = document.createElement("input");

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function addTools() {
  keyField.type = "password";
  keyField.placeholder = "API key for trying (kept in this page only)";
  const filter = element("input", { type: "search", placeholder: "Filter operations" });
  filter.addEventListener("input", () => {
    const wanted = filter.value.toLowerCase();
    for (const entry of document.querySelectorAll(".operation")) {
      entry.hidden = !entry.textContent.toLowerCase().includes(wanted);
    }
  });
  document.querySelector("header").append(element("p", {}, filter), element("p", {}, keyField));
}

function named(reference, document_) {
  return document_.components.schemas[reference.slice(reference.lastIndexOf("/") + 1)];
}

// An example value of a schema, as deep as is readable.
function example(schema, document_, depth = 0) {
  if (schema.$ref) return depth > 4 ? {} : example(named(schema.$ref, document_), document_, depth);
  if ("default" in schema) return schema.default;
  const option = (schema.anyOf || schema.oneOf || [])[0];
  if (option) return example(option, document_, depth);
  if (schema.enum) return schema.enum[0];
  if (schema.type === "array") return depth > 3 ? [] : [example(schema.items || {}, document_, depth + 1)];
  if (schema.type === "object") {
    const required = schema.required || [];
    const made = {};
    for (const name of required) made[name] = example(schema.properties[name], document_, depth + 1);
    return made;
  }
  return { string: "", integer: 0, number: 0, boolean: false }[schema.type] ?? null;
}

function schemaView(title, schema, document_) {
  const target = schema.$ref ? named(schema.$ref, document_) : schema;
  return element("details", {}, element("summary", {}, title), element("pre", {}, JSON.stringify(target, null, 2)));
}

function tryForm(path, method, operation, document_) {
  const fields = new Map();
  const form = element("form", {});
  for (const parameter of operation.parameters.filter((one) => one.in !== "header")) {
    const input = element("input", { placeholder: `${parameter.name} (${parameter.in})` });
    fields.set(parameter, input);
    form.append(input);
  }
  const json = operation.requestBody?.content["application/json"];
  const body = json && element("textarea", { value: JSON.stringify(example(json.schema, document_), null, 2) });
  if (body) form.append(body);
  const answer = element("pre", { hidden: true });
  form.append(element("button", {}, `Send ${method.toUpperCase()}`), answer);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    let url = path;
    const query = new URLSearchParams();
    for (const [parameter, input] of fields) {
      if (parameter.in === "path") url = url.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
      else if (input.value) query.set(parameter.name, input.value);
    }
    const headers = keyField.value ? { authorization: `Bearer ${keyField.value}` } : {};
    if (body) headers["content-type"] = "application/json";
    answer.hidden = false;
    try {
      const response = await fetch(query.size ? `${url}?${query}` : url, { method: method.toUpperCase(), headers, body: body?.value });
      answer.textContent = `${response.status}\n${await response.text()}`;
    } catch (error) {
      answer.textContent = String(error);
    }
  });
  return form;
}

function extend(document_) {
  for (const [path, methods] of Object.entries(document_.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const entry = document.getElementById(operation.operationId);
      for (const [media, content] of Object.entries(operation.requestBody?.content ?? {})) {
        entry.append(schemaView(`Body (${media})`, content.schema, document_));
      }
      for (const [status, response] of Object.entries(operation.responses)) {
        const content = response.content?.["application/json"];
        if (content) entry.append(schemaView(`Answer ${status}`, content.schema, document_));
      }
      const streams = "text/event-stream" in (operation.responses["200"]?.content ?? {});
      const upload = "multipart/form-data" in (operation.requestBody?.content ?? {});
      if (!streams && !upload) entry.append(tryForm(path, method, operation, document_));
    }
  }
}

addTools();
fetch("/openapi.json").then((response) => response.json()).then(extend);
