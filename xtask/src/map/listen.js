// before the page's own script: what goes wrong in it
window.wrong = [];
addEventListener("error", event => window.wrong.push(String(event.message || event.target)), true);
addEventListener("unhandledrejection", event => window.wrong.push(String(event.reason)));
addEventListener("securitypolicyviolation", event => window.wrong.push("refused: " + event.blockedURI));
