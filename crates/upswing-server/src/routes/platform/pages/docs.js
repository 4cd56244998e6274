// Draws /openapi.json. Text only ever enters the page as text.
'use strict';

const METHODS = ['get', 'post', 'put', 'delete', 'options', 'patch'];
// Deep enough for a reward definition's metrics; a schema that holds itself ends there.
const DEEPEST = 5;
let schemas = {};

function element(tag, className, ...content) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...content.filter((part) => part !== null && part !== undefined));
  return made;
}

function resolve(schema) {
  if (!schema || !schema.$ref) return schema || {};
  return schemas[schema.$ref.split('/').pop()] || {};
}

function nameOf(schema) {
  if (!schema) return 'anything';
  if (schema.$ref) return schema.$ref.split('/').pop();
  const choices = schema.oneOf || schema.anyOf;
  if (choices) return choices.map(nameOf).join(' or ');
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' or ');
  const types = [].concat(schema.type || 'anything');
  return types.map((type) => {
    if (type === 'array') return `list of ${nameOf(schema.items)}`;
    if (type === 'object' && schema.additionalProperties) return `map of ${nameOf(schema.additionalProperties)}`;
    return schema.format && type === 'string' ? schema.format : type;
  }).join(' or ');
}

// The schemas within one that have fields of their own.
function inner(schema) {
  if (!schema) return [];
  if (schema.$ref) return [schema];
  const parts = [].concat(schema.oneOf || schema.anyOf || schema.allOf || []);
  if (schema.items) parts.push(schema.items);
  if (schema.additionalProperties && schema.additionalProperties !== true) parts.push(schema.additionalProperties);
  return parts.flatMap((part) => (part.$ref || part.properties ? [part] : inner(part)));
}

function range(schema) {
  const low = schema.minimum, high = schema.maximum;
  if (low === undefined && high === undefined) return null;
  return ` (${low ?? ''} to ${high ?? ''})`;
}

function fields(schema, depth) {
  const resolved = resolve(schema);
  const box = document.createDocumentFragment();
  if (resolved.description && depth > 0) box.append(element('p', 'quiet', resolved.description));
  if (resolved.properties) {
    const list = element('dl');
    const required = resolved.required || [];
    for (const [name, property] of Object.entries(resolved.properties)) {
      const term = element('dt', '', name, required.includes(name) ? ' *' : null);
      const text = element('dd', '', element('code', '', nameOf(property)), range(property));
      if (property.description) text.append(` ${property.description}`);
      if (depth < DEEPEST) inner(property).forEach((part) => text.append(fields(part, depth + 1)));
      list.append(term, text);
    }
    box.append(list);
  } else if (depth < DEEPEST) {
    inner(resolved).forEach((part) => box.append(fields(part, depth + 1)));
    if (resolved.enum) box.append(element('p', '', element('code', '', nameOf(resolved))));
  }
  return box;
}

function contents(content) {
  return Object.entries(content || {}).map(([type, media]) => {
    const schema = media.schema;
    return element('div', '', element('p', 'quiet', `${type}: `, element('code', '', nameOf(schema))),
      inner(schema).length || schema?.properties ? fields(schema, 0) : null);
  });
}

function example(method, path, operation) {
  const lines = [`curl -X ${method.toUpperCase()} '${location.origin}${path}'`];
  if ((operation.security || []).length) lines.push(`  -H "Authorization: Bearer $UPSWING_KEY"`);
  if (operation.requestBody) lines.push("  -H 'Content-Type: application/json'", "  -d '{…}'");
  return element('pre', '', lines.join(' \\\n'));
}

function route(path, method, operation) {
  const body = element('div');
  if (operation.description) body.append(element('p', '', operation.description));
  if (operation.parameters?.length) {
    const list = element('dl');
    for (const parameter of operation.parameters) {
      list.append(element('dt', '', parameter.name, parameter.required ? ' *' : null),
        element('dd', '', element('code', '', nameOf(parameter.schema)), ` in the ${parameter.in}. ${parameter.description || ''}`));
    }
    body.append(element('h3', '', 'Parameters'), list);
  }
  if (operation.requestBody) body.append(element('h3', '', 'Body'), ...contents(operation.requestBody.content));
  body.append(element('h3', '', 'Answers'));
  for (const [status, response] of Object.entries(operation.responses || {})) {
    body.append(element('p', '', element('strong', '', status === 'default' ? 'otherwise' : status), ` ${response.description}`));
    if (status !== 'default') body.append(...contents(response.content));
  }
  body.append(example(method, path, operation));
  const made = element('details', '',
    element('summary', '',
      element('span', 'method', method.toUpperCase()),
      element('code', '', path),
      element('span', 'short', operation.summary || ''),
      element('span', 'permission', operation['x-permission'] || '')),
    body);
  made.id = operation.operationId || '';
  made.dataset.words = `${method} ${path} ${operation.summary || ''} ${operation.tags || ''}`.toLowerCase();
  return made;
}

function draw(spec) {
  schemas = spec.components?.schemas || {};
  document.getElementById('about').textContent = `${spec.info.description} Release ${spec.info.version}.`;
  const byStage = new Map();
  for (const [path, item] of Object.entries(spec.paths)) {
    for (const method of METHODS.filter((name) => item[name])) {
      const stage = item[method].tags?.[0] || 'other';
      if (!byStage.has(stage)) byStage.set(stage, []);
      byStage.get(stage).push(route(path, method, item[method]));
    }
  }
  const main = document.getElementById('routes');
  main.replaceChildren();
  for (const [stage, routes] of byStage) {
    const section = element('section', '', element('h2', '', stage), ...routes);
    main.append(section);
  }
  const chosen = document.getElementById(location.hash.slice(1));
  if (chosen) {
    chosen.open = true;
    chosen.scrollIntoView();
  }
}

document.getElementById('filter').addEventListener('input', (event) => {
  const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const made of document.querySelectorAll('details')) {
    made.hidden = !words.every((word) => made.dataset.words.includes(word));
  }
  for (const section of document.querySelectorAll('section')) {
    section.hidden = ![...section.querySelectorAll('details')].some((made) => !made.hidden);
  }
});

fetch('/openapi.json')
  .then((response) => (response.ok ? response.json() : Promise.reject(new Error(`status ${response.status}`))))
  .then(draw)
  .catch((error) => {
    document.getElementById('routes').replaceChildren(element('p', '', `/openapi.json could not be read: ${error.message}`));
  });
