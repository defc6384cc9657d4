from opto.trace import node
x = node(1, trainable=True)
y = node(3)
z = x / y
z2 = x / 3 # the int 3 would be converted to a node automatically
list_of_nodes = [x, node(2), node(3)]
node_of_list = node([1, 2, 3])
node_of_list.append(3)
# easy built-in computation graph visualization
z.backward("maximize z", visualize=True, print_limit=25)
