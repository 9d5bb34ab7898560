"""The paper's tables and figures: what they need trained, and how they are filled."""
