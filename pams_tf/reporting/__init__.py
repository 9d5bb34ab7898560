"""Output for people: tables, plots in one style, and progress bars. Independent of any network."""
