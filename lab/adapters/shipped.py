"""The models that need no download: the tables capitals and sudoku4, absorbing and hybrid.

`SHIPPED` maps a model's name to the function that builds it; `
