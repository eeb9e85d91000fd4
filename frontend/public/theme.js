(function () {
  var chosen = null;
  try {
    chosen = localStorage.getItem("weir.theme");
  } catch {
    chosen = null; // storage is off: follow the system
  }
  var light = chosen === "light" || (chosen !== "dark" && matchMedia("(prefers-color-scheme: light)").matches);
  document.documentElement.dataset.theme = light ? "light" : "dark";
})();
