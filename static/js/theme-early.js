// Runs before the first paint, so that a chosen theme does not flash. Without a choice the system's counts.
(function () {
  try {
    var chosen = localStorage.getItem("theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch (refused) { /* storage is off: the system's theme it is */ }
})();
