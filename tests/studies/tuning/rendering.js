// Renders prompts as promptfoo does, by the real nunjucks: one JSON value a line in, one out.
const nunjucks = require("nunjucks");
const engine = nunjucks.configure({ autoescape: false });

// Whether a value names a variable that is not there; promptfoo leaves such a value as it is.
function leftAlone(value, vars) {
  const named = value.replace(/\{#[^]*?#\}/g, "").matchAll(/\{\{\s*([A-Za-z_]\w*)[^{}\s|]*\s*(?:\|[^}]+)?\}\}|\{%\s*(?:if|for)\s+([A-Za-z_]\w*)/g);
  return [...named].some((found) => !((found[1] ?? found[2]) in vars));
}

function isWrapped(text) {
  return !/(\{%[^%]*$|\{\{[^}]*$|\{#[^#]*$)/m.test(text) || /\{%\s*raw\s*%\}[^]*\{%\s*endraw\s*%\}/.test(text);
}

function rendered(text, vars) {
  return engine.renderString(isWrapped(text) ? text : `{% raw %}${text}{% endraw %}`, vars);
}

function prompt(raw, given) {
  const vars = { ...given };
  for (const name in vars) {
    if (vars[name].startsWith("file://") || vars[name].startsWith("package:")) throw new Error(`loads ${vars[name]}`);
    vars[name] = vars[name].replace(/\n$/, "");
  }
  for (const name in vars) {
    const found = /\{\{\s*(\w+)\s*\}\}/.exec(vars[name]);
    if (found && found[1] in vars) vars[name] = vars[name].replace(found[0], vars[found[1]]);
  }
  const values = {};
  for (const name in vars) values[name] = leftAlone(vars[name], vars) ? vars[name] : rendered(vars[name], vars);
  let isJson = true;
  try {
    JSON.parse(raw);
  } catch {
    isJson = false;
  }
  // What is JSON is walked instead, and its strings are rendered with the values as they came.
  return isJson ? engine.renderString(raw, vars) : rendered(raw, values);
}

require("readline")
  .createInterface({ input: process.stdin })
  .on("line", (line) => {
    let answer;
    try {
      const { raw, vars } = JSON.parse(line);
      answer = { text: prompt(raw, vars) };
    } catch (error) {
      answer = { error: String(error) };
    }
    process.stdout.write(JSON.stringify(answer) + "\n");
  });
